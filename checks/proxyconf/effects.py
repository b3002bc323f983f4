"""Settings together with the ways that they are effective for, and findings about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from regdoctor.api import Certainty, Draft, ProxyConfig, ReverseProxySetting, Severity, finding, proxy_configs

from . import remedies

_CERTAINTIES = (Certainty.PROVEN, Certainty.LIKELY, Certainty.POSSIBLE)


@dataclass(frozen=True)
class Effect:
    """One setting and the ways that it is effective for."""

    setting: ReverseProxySetting
    fronts: tuple[proxy_configs.Front, ...]

    @property
    def where(self) -> str:
        """The blocks that it holds for."""
        names = [front.where for front in self.fronts]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    @property
    def evidence(self) -> tuple[str, ...]:
        """Where it is written; without that, the blocks."""
        places = [self.setting.place] if self.setting.place is not None else []
        return tuple(places or [front.route.place for front in self.fronts[:3]])

    @property
    def written(self) -> str:
        """``place: name value;``."""
        shown = f"{self.setting.name} {self.setting.value}".strip()
        return f"{self.setting.place}: {shown}"

    @property
    def certainty(self) -> Certainty:
        """The firmest of the ways'."""
        return min((front.certainty for front in self.fronts), key=_CERTAINTIES.index)

    @property
    def outside(self) -> str:
        """That levels around are not known, as a sentence; empty where they are."""
        return next((f" ({front.route.outside}.)" for front in self.fronts if front.route.outside), "")


def effects(
    found: Iterable[proxy_configs.Front], settings: Iterable[tuple[proxy_configs.Front, ReverseProxySetting]]
) -> list[Effect]:
    """The settings with the ways that share each."""
    ways = list(found)
    grouped: dict[tuple[str, str, str | None], tuple[ReverseProxySetting, list[proxy_configs.Front]]] = {}
    for front, setting in settings:
        key = (setting.name, setting.value, setting.place)
        grouped.setdefault(key, (setting, []))[1].append(front)
    order = {id(front): number for number, front in enumerate(ways)}
    return [
        Effect(setting, tuple(sorted(fronts_, key=lambda front: order[id(front)])))
        for setting, fronts_ in grouped.values()
    ]


def draft(
    code: str,
    effect: Effect,
    detail: str,
    *,
    certainty: Certainty = Certainty.PROVEN,
    severity: Severity | None = None,
    fix: str,
    config: ProxyConfig,
) -> Draft:
    """A finding about a setting; no firmer and no graver than it is known that the way leads to a registry."""
    firm = max(certainty, effect.certainty, key=_CERTAINTIES.index)
    if effect.certainty is Certainty.POSSIBLE:
        severity = Severity.WARNING if severity is None else severity
        detail += " Only the path or the port says that a registry may be behind it."
    return finding(
        code,
        detail,
        certainty=firm,
        severity=severity,
        fix=(fix,),
        reproduce=remedies.reproduce(code, config),
        evidence=effect.evidence,
        endpoint=effect.fronts[0].endpoint,
    )
