"""From a node of the config to the object that it configures: the constructor is the schema.

Every key must be a parameter of the class, with a value of the annotated type; what has a default may be left
out. A parameter of type `File` or `Folder` names a file, which is looked for here. A node within a node that
has a `_target_` of its own is built first, so that methods can be made of methods.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

from mixsd.core.errors import DataError, SettingError, did_you_mean
from mixsd.core.files import File, Folder

_EMPTY = inspect.Parameter.empty
Parameters = dict[str, inspect.Parameter]


@dataclass
class Builder:
    """Builds the object of one config group, and keeps what it was given.

    Attributes:
        group: The group.
        data_root: A folder in which files are looked for, too.
        skipped: Keys that are for others; the class does not get them.
        values: The plain settings by key, defaults included; those of an object inside as `<key>.<its key>`.
        files: The files that settings name, by key.
    """

    group: str
    data_root: str | None
    skipped: frozenset[str] = frozenset()
    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)

    def settings(self, node: DictConfig, schema: type) -> Any:
        """A dataclass of settings.

        Raises:
            SettingError: A key is unknown, a value is of the wrong type or out of range.
        """
        settings = schema(**self._arguments(self.group, node, schema))
        self.values = {key: _plain(value) for key, value in dataclasses.asdict(settings).items()}
        return settings

    def fulfilling(self, node: DictConfig, contracts: tuple[type, ...]) -> Any:
        """The object that a node's own `_target_` names, which fulfils one of the contracts.

        Raises:
            SettingError: As `settings`; the target cannot be imported, or it fulfils none of them.
        """
        built = self._object(self.group, node)
        lacks = [_lacking(built, contract) for contract in contracts]
        if all(lacks):
            raise SettingError(
                f"{self.group}._target_={node['_target_']} is no {self.group}: it lacks "
                f"{', '.join(min(lacks, key=len))}; see docs/extending.md"
            )
        return built

    def _object(self, name: str, node: DictConfig) -> Any:
        try:
            target = get_object(node["_target_"])
        except (ImportError, ValueError, AttributeError, TypeError, OmegaConfBaseException) as error:
            raise SettingError(f"{name}._target_={node.get('_target_')} cannot be imported") from error
        return target(**self._arguments(name, node, target))

    def _arguments(self, name: str, node: DictConfig, target: Callable[..., Any]) -> dict[str, Any]:
        """Checked arguments for what a node configures, its files and the objects inside it built."""
        for key in node:
            # To read a `???` would raise OmegaConf's own error, which says less.
            if OmegaConf.is_missing(node, key):
                raise SettingError(f"{name}.{key} is not set; add {name}.{key}=<value>")
        skipped = self.skipped if name == self.group else frozenset[str]()
        values = {str(key): node[key] for key in node if key != "_target_" and key not in skipped}
        parameters = _parameters(target, values)
        _see_that_keys_fit(name, parameters, values)
        inside = name.partition(".")[2]
        prefix = f"{inside}." if inside else ""
        built: dict[str, Any] = {}
        for key, value in values.items():
            kind = file_type(parameters[key].annotation)
            if isinstance(value, DictConfig) and "_target_" in value:
                self.values[f"{prefix}{key}._target_"] = str(value["_target_"])
                built[key] = self._object(f"{name}.{key}", value)
            elif kind and value is not None:
                built[key] = self.files[f"{prefix}{key}"] = self._file(f"{name}.{key}", value, kind)
            elif kind:
                built[key] = None
        plain = {key: value for key, value in values.items() if key not in built}
        settings = typed(name, [(key, parameters[key].annotation) for key in plain], plain)
        left = {key: parameter for key, parameter in parameters.items() if key not in values}
        defaults = {key: p.default for key, p in left.items() if not file_type(p.annotation)}
        self.values |= {f"{prefix}{key}": _plain(value) for key, value in (defaults | settings).items()}
        return built | settings

    def _file(self, setting: str, value: Any, kind: type[File]) -> File:
        """A file that a setting names: as given, or else below the data root."""
        if not isinstance(value, str) or not value:
            wanted = "a folder" if kind is Folder else "a file"
            raise SettingError(f"{setting}={value} is no path; give {wanted}")
        given = Path(value).expanduser()
        under = Path(self.data_root).expanduser() / value if self.data_root else given
        try:
            path = given if given.exists() or not under.exists() else under
        except OSError as error:  # a name that is too long
            raise DataError(f"{setting}={value[:60]}... is no file name ({error.strerror})") from error
        return kind(setting, path)


def file_type(annotation: Any) -> type[File] | None:
    """`File` or `Folder`, where a parameter is declared as one, perhaps optional."""
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return next((o for o in options if isinstance(o, type) and issubclass(o, File)), None)


def typed(group: str, fields: list[tuple[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as plain Python of the fields' types.

    Raises:
        SettingError: One is of another type; it is named.
    """
    # OmegaConf checks and converts the values of a dataclass, so one is made of the fields.
    checked = OmegaConf.structured(dataclasses.make_dataclass(group.replace(".", "_"), fields))
    kinds = dict(fields)
    for key, value in values.items():
        try:
            if kinds[key] is bool and isinstance(value, int | float) and value not in (0, 1):
                raise ValidationError  # OmegaConf takes any number for a truth value
            checked[key] = value
        except OmegaConfBaseException as error:
            wanted = getattr(kinds[key], "__name__", str(kinds[key]))
            raise SettingError(f"{group}.{key}={value} is of the wrong type; allowed: {wanted}") from error
    plain = OmegaConf.to_container(checked, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def unknown(shown: str, key: str, known: list[str]) -> str:
    """The message about a key that is no setting."""
    return f"{shown} is not a setting; {did_you_mean(key, known)}allowed: {', '.join(known)}"


def _parameters(target: Callable[..., Any], values: Mapping[str, Any]) -> Parameters:
    """What a target takes by name; one without a type takes anything, and `**settings` any further key."""
    parameters = {
        key: parameter.replace(annotation=Any) if parameter.annotation is _EMPTY else parameter
        for key, parameter in inspect.signature(target).parameters.items()
    }
    for key in [key for key, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD]:
        further = parameters.pop(key).replace(annotation=Any, kind=inspect.Parameter.KEYWORD_ONLY)
        parameters |= {other: further for other in values if other not in parameters}
    return parameters


def _see_that_keys_fit(name: str, parameters: Parameters, values: Mapping[str, Any]) -> None:
    for key in values:
        if key not in parameters:
            raise SettingError(unknown(f"{name}.{key}", key, list(parameters)))
    missing = [key for key, p in parameters.items() if key not in values and p.default is _EMPTY]
    if missing:
        raise SettingError(f"{name} lacks {', '.join(missing)}; a config file of this group sets it")


def _lacking(built: object, contract: type) -> list[str]:
    """Members of a contract that an object lacks; looked for on its class, since a property may be costly."""
    # typing has no public way to list the members of a protocol before Python 3.13.
    members = sorted({*getattr(contract, "__annotations__", {}), *vars(contract)})
    own = [name for name in members if not name.startswith("_")]
    return [name for name in own if not hasattr(type(built), name) and name not in vars(built)]


def _plain(value: Any) -> Any:
    """A value as JSON holds it."""
    return list(value) if isinstance(value, tuple | frozenset) else value
