"""Generated data: the same on every run, different for each organization, with the same ids in all of them."""

import random
from dataclasses import dataclass, field

ORGANIZATIONS = {"northwind": "Northwind Logistics", "larchfield": "Larchfield Foods"}

_FIRST = ("Blue Harbor", "Copper", "Juniper", "Meridian", "Quarry", "Redstone", "Solace", "Tidewater", "Amber", "Birch")
_INDUSTRIES = ("logistics", "foods", "health", "energy", "systems", "textiles")
_COUNTRIES = ("DE", "FR", "AT", "NL", "SE", "CH", "ES", "PL")
_PLANS = ("starter", "growth", "enterprise")
MONTHS = tuple(f"2026-{month:02d}" for month in range(5, 11))


@dataclass(frozen=True)
class Account:
    account_id: str
    name: str
    industry: str
    country: str
    plan: str
    seats: int
    arr_eur: int
    health: float
    queries: tuple[int, ...]  # by month


@dataclass(frozen=True)
class Segment:
    segment_id: str
    name: str
    description: str
    account_ids: list[str]


@dataclass(frozen=True)
class Data:
    accounts: list[Account] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)


def generate(organization: str, accounts: int = 60) -> Data:
    """All of one organization's data. Names carry the organization's, so that a mix-up shows."""
    rng = random.Random(organization)
    made = [_account(rng, organization, number) for number in range(1, accounts + 1)]
    return Data(
        made,
        [
            _segment("seg_risk", "At risk", "Health below 0.45", [a for a in made if a.health < 0.45]),
            _segment("seg_enterprise", "Enterprise", "On that plan", [a for a in made if a.plan == "enterprise"]),
            _segment("seg_dach", "DACH", "In these countries", [a for a in made if a.country in ("DE", "AT", "CH")]),
        ],
    )


def _account(rng: random.Random, organization: str, number: int) -> Account:
    plan = rng.choice(_PLANS)
    industry = rng.choice(_INDUSTRIES)
    seats = rng.randint(5, 45) * (12 if plan == "enterprise" else 1)
    health = rng.randint(20, 99) / 100
    growth = 1 + (health - 0.5) / 10
    return Account(
        account_id=f"acc_{number:03d}",
        name=f"{rng.choice(_FIRST)} {industry.title()} {number} ({organization})",
        industry=industry,
        country=rng.choice(_COUNTRIES),
        plan=plan,
        seats=seats,
        arr_eur=seats * rng.choice((240, 300, 360)),
        health=health,
        queries=tuple(int(seats * 40 * growth**month) for month in range(len(MONTHS))),
    )


def _segment(segment_id: str, name: str, description: str, members: list[Account]) -> Segment:
    return Segment(segment_id, name, description, [a.account_id for a in members])
