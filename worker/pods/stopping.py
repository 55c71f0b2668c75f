"""How a container's processes are ended."""

from worker.pods.observation import ALIVE, ContainerState, ObservedContainer
from worker.pods.steps import Step, StopContainer, UnpauseContainer


def stopping_steps(container: ObservedContainer, timeout_s: int) -> list[Step]:
    """Return what ends the container's processes; a paused one cannot receive a signal."""
    if container.state not in ALIVE:
        return []
    paused = container.state is ContainerState.PAUSED
    wake: list[Step] = [UnpauseContainer(container.id)] if paused else []
    return [*wake, StopContainer(container.id, timeout_s)]
