"""Profiles of one kind, those that come with Dastak and an operator's own, and settings held against them."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from dastak.http_carriers.http_profile import PROFILE_OCTETS_MAX, Option
from dastak.http_carriers.placeholders import nearest

SHIPPED_KEPT_MAX: Final = 64
# What a profile may ask for beside its options; its text says what the vendor calls it.
_WANTED: Final = ("account", "secret", "proof_secret")


class Profiled(Protocol):
    """What profiles of all kinds have."""

    @property
    def title(self) -> str:
        """What people call it."""

    @property
    def options(self) -> Mapping[str, Option]:
        """What it asks for, by name."""


class Chosen(Protocol):
    """What settings of all kinds have."""

    @property
    def profile(self) -> str:
        """A profile that comes with Dastak; or empty."""

    @property
    def profile_file(self) -> str:
        """The whole path of another one; or empty."""

    @property
    def options(self) -> Mapping[str, str]:
        """What the operator answered."""


P = TypeVar("P", bound=Profiled)


class ProfileShelf(Generic[P]):
    """A folder of profiles.

    Args:
        folder: Where those that come with Dastak are, one TOML file each.
        read: Reads a profile, or raises ValueError.
        purpose: Said of a profile that is not there, such as ` for calls`.
    """

    def __init__(self, folder: Path, read: Callable[[bytes], P], *, purpose: str = "") -> None:
        self.folder: Final = folder
        self._read = read
        self._purpose = purpose
        self.shipped: Final = lru_cache(maxsize=SHIPPED_KEPT_MAX)(self._shipped)

    def names(self) -> tuple[str, ...]:
        """Return the profiles that come with Dastak."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.toml")))

    def own(self, path: Path) -> P:
        """Read a profile of the operator's own.

        Raises:
            ValueError: It is none, or no file by its whole path.
            OSError: It cannot be read.
        """
        # The command line and the server stand in different directories.
        if not path.is_absolute() or not path.is_file():
            raise ValueError("profile_file must be the whole path of a file, such as /etc/dastak/acme.toml")
        with path.open("rb") as file:
            return self._read(file.read(PROFILE_OCTETS_MAX + 1))

    def of(self, settings: Chosen) -> P:
        """Read the profile that settings choose.

        Raises:
            ValueError: They name none, two, or one that is not there.
            OSError: It cannot be read.
        """
        if bool(settings.profile) == bool(settings.profile_file):
            raise ValueError(f"give `profile` or `profile_file`; profiles are {', '.join(self.names())}")
        return self.shipped(settings.profile) if settings.profile else self.own(Path(settings.profile_file))

    def _shipped(self, name: str) -> P:
        """Read a profile that comes with Dastak. Raises: ValueError."""
        if name not in self.names():
            raise ValueError(f"there is no profile `{name}`{self._purpose}.{nearest(name, self.names())}")
        return self._read((self.folder / f"{name}.toml").read_bytes())


def all_options(settings: Chosen, profile: Profiled) -> dict[str, str]:
    """Return the operator's options and the profile's defaults together.

    Raises:
        ValueError: An option is unknown or missing, or one of `account`, `secret` and `proof_secret` is.
    """
    for name in settings.options:
        if name not in profile.options:
            raise ValueError(f"{profile.title} has no option `{name}`.{nearest(name, profile.options)}")
    for name, option in profile.options.items():
        if option.default is None and not settings.options.get(name):
            raise ValueError(f"options has no `{name}`: {option.about}")
    for name in _WANTED:
        if getattr(profile, name) and not getattr(settings, name):
            raise ValueError(f"`{name}` is missing: {getattr(profile, name)}")
    defaults = {name: option.default or "" for name, option in profile.options.items()}
    return {**defaults, **settings.options}


def secrets_of(profile: Profiled) -> frozenset[str]:
    """Return which settings of a carrier with such a profile are secret."""
    return frozenset(name for name in _WANTED[1:] if getattr(profile, name))
