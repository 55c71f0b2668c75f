"""Which templates no pod is of the image of."""

from collections.abc import Collection, Iterable

from worker.pods.model import Record


def unused_templates(records: Iterable[Record], templates: Collection[str]) -> frozenset[str]:
    """Return the names of the templates, and of attempts at one, of images that no pod of the host has.

    A name begins with the image's digest; that of an attempt, which nobody needs once its maker is gone,
    begins with a dot.
    """
    records = tuple(records)
    if any(record.unreadable is not None for record in records):
        return frozenset()  # Which image such a pod has is not known.
    used = {image_id.removeprefix("sha256:") for record in records for image_id in _images(record)}
    return frozenset(name for name in templates if name.partition("-")[0] not in used)


def _images(record: Record) -> Iterable[str]:
    pinned = (record.image, record.state.image, record.intent.image)
    yield from (image.id for image in pinned if image is not None)
    if record.state.system is not None:
        yield record.state.system.image.id
    yield from (volume.image for volume in record.state.layout if volume.image is not None)
