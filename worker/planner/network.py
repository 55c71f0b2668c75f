"""Whether a pod's container is on a network, and how it gets back to it without losing anything."""

from dataclasses import replace

from worker.planner.decision import Plan, go
from worker.planner.steps import ConnectNetwork, StartContainer
from worker.pods.model import Installation, Phase
from worker.pods.observation import ObservedContainer


def is_detached(container: ObservedContainer, installation: Installation) -> bool:
    """Whether it is neither on the network that it was made for nor on that of all pods.

    If the setting names another network than before, containers that run on the older one stay there.
    """
    if container.networks is None:
        return False
    return {container.network_mode, installation.network}.isdisjoint(container.networks)


def attached_first(decided: Plan, container: ObservedContainer, installation: Installation) -> Plan:
    """Return the plan for a pod's own container with its network given back, if it runs or should."""
    if not is_detached(container, installation):
        return decided
    connect = ConnectNetwork(container.id, installation.network)
    if not decided.steps and decided.phase is Phase.RUNNING:
        return go(connect)
    if any(isinstance(step, StartContainer) for step in decided.steps):
        return replace(decided, steps=(connect, *decided.steps))
    return decided
