"""Settings of methods that train several networks or branches together: DML, codistillation, ONE, FFL."""

from dataclasses import dataclass, replace

from osakd.errors import InputError
from osakd.methods.settings.base import RunDefaults, Settings, setting
from osakd.models.registry import check_name

_RAMP_END = 80 / 300


@dataclass(frozen=True)
class DMLSettings(Settings):
    """Deep mutual learning: peers that teach each other. Source: Zhang et al., CVPR 2018."""

    peers: list[str] = setting([], "names of the other networks; default: one more of the same")
    soft_weight: float = setting(1.0, "weight of the mean divergence from the other peers", least=0)

    def resolve(self, run: RunDefaults) -> "DMLSettings":
        """One more network of the same kind where no peer is named."""
        for peer in self.peers:
            check_name(peer)
        return replace(self, peers=self.peers or [run.model])


@dataclass(frozen=True)
class CodistillationSettings(Settings):
    """Copies that learn from older weights of each other. Source: Anil et al., ICLR 2018."""

    copies: int = setting(2, "number of networks", least=2)
    burn_in: float = setting(0.2, "share of the schedule without the soft term", least=0, most=1)
    refresh: int = setting(50, "steps between two exchanges of weights", least=1)
    soft_weight: float = setting(1.0, "weight of the cross-entropy with the others' mean prediction", least=0)


@dataclass(frozen=True)
class ONESettings(Settings):
    """Branches on a shared trunk that learn from their gated ensemble. Source: Lan et al., NeurIPS 2018."""

    branches: int = setting(
        2, "number of branches, the deployed one included; 3 in the source, 2 in the paper", least=2
    )
    share: str | None = setting(None, "last stage of the trunk; default: the last but one of the network")
    temperature: float = setting(3.0, "temperature of the soft term", above=0)
    ramp_end: float = setting(_RAMP_END, "share of the schedule at which the soft term has its full weight", above=0)


@dataclass(frozen=True)
class FFLSettings(Settings):
    """Two sub-networks and a classifier on their fused features. Source: Kim et al., ICPR 2020."""

    shared: bool = setting(True, "the sub-networks share a trunk; else they are two whole networks")
    share: str | None = setting(None, "last stage of the trunk; default: the last but one of the network")
    peer: str | None = setting(None, "name of the second whole network; default: the same as the first")
    temperature: float = setting(3.0, "temperature of the soft terms", above=0)
    ramp_end: float = setting(
        _RAMP_END, "share of the schedule at which the soft terms have their full weight", above=0
    )
    fusion_weight_decay: float = setting(1e-5, "weight decay of the fusion module", least=0)

    def __post_init__(self) -> None:
        if self.shared and self.peer is not None:
            raise InputError("`peer` is the second whole network of ffl: it needs `shared` false.")
        if not self.shared and self.share is not None:
            raise InputError("`share` names the last shared stage of ffl: it needs `shared` true.")

    def resolve(self, run: RunDefaults) -> "FFLSettings":
        """The second whole network is of the first one's kind where none is named."""
        if self.peer is not None:
            check_name(self.peer)
        return replace(self, peer=run.model) if not self.shared and self.peer is None else self
