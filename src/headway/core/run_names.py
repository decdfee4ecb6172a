"""Names for runs that nobody named: two words that people can say and remember."""

from __future__ import annotations

import random
from functools import cache

__all__ = ["new_name"]

_FIRST = (
    "amber bold brave breezy bright brisk calm candid clever cosmic crimson curious dapper daring eager earnest "
    "fearless fleet gentle gilded graceful hardy hidden honest humble indigo jolly keen kind lively lucid lunar "
    "mellow merry mighty nimble noble olive patient placid polite proud quick quiet radiant rapid rustic sage "
    "scarlet serene sharp silent silver sincere steady stellar sturdy sunny swift tidy tranquil upbeat vivid warm "
    "wise witty zesty"
)
_SECOND = (
    "albatross alpaca antelope badger beaver bison bobcat caribou cheetah condor cormorant coyote crane dolphin "
    "dragonfly egret falcon ferret finch gazelle gecko gibbon heron hornbill ibex iguana jackal jaguar kestrel "
    "kingfisher koala lemur leopard lynx magpie mantis marmot marten meerkat mongoose narwhal newt ocelot octopus "
    "osprey otter panther pelican penguin petrel plover puffin python quail raven salmon seal sparrow starling "
    "stork swan tapir tern toucan viper walrus weasel wombat wren yak zebra"
)


def new_name() -> str:
    """E.g. "steady-heron"; not unique, only easy to tell from its neighbours."""
    return f"{random.choice(_words(_FIRST))}-{random.choice(_words(_SECOND))}"


@cache
def _words(text: str) -> list[str]:
    return text.split()
