"""Registers of a core by name, over a transport: identity, fields, sticky errors, counters."""

from collections.abc import Iterable
from typing import Any

from latte_hw import __version__
from latte_hw.config.top import TopConfig
from latte_hw.driver.errors import UnknownCoreError, core_error
from latte_hw.driver.transport import Transport
from latte_hw.system.csr.names import CORE_ID
from latte_hw.system.csr.table import top_registers
from latte_hw.system.csr.view import RegisterView
from latte_hw.system.events import CORE_COUNTERS, COUNTERS


class CoreRegisters:
    """The register map of `config` over a transport."""

    def __init__(self, transport: Transport, config: TopConfig) -> None:
        self.config = config
        self.view = RegisterView(top_registers(config))
        self._transport = transport

    def read(self, path: str) -> dict[str, int]:
        """The fields of a register."""
        return self.view.unpack(path, self._transport.read32(self.view.address(path)))

    def write(self, path: str, **values: int) -> None:
        """Write a register; fields that are not named become 0."""
        self._transport.write32(self.view.address(path), self.view.pack(path, values))

    def check_identity(self) -> None:
        """:class:`UnknownCoreError` unless the core is the one that this configuration makes."""
        word = self.read("id")["id"]
        if word != CORE_ID:
            raise UnknownCoreError(f"no LATTE core answers: its id must be {CORE_ID:#010x}, not {word:#010x}")
        version, mine = self.read("version"), self._made("version")
        # Before 1.0 a minor version may change anything.
        parts = ("major", "minor") if mine["major"] == 0 else ("major",)
        if any(version[part] != mine[part] for part in parts):
            found = ".".join(str(version[part]) for part in ("major", "minor", "patch"))
            raise UnknownCoreError(f"this driver is for cores of version {__version__}, not {found}")
        digits = "".join(f"{self.read(f'config_hash_{word}')['hash']:08x}" for word in (0, 1))
        expected = self.config.sha256()[: len(digits)]
        if digits != expected:
            raise UnknownCoreError(
                f"the core was made of another configuration: its hash must begin with {expected}, not {digits}; "
                "take the latte_top.json that was written with it"
            )

    def _made(self, path: str) -> dict[str, int]:
        """What this configuration and this generator make of a register of constants."""
        return self.view.unpack(path, self.view.placed(path).register.reset)

    def error_bits(self) -> list[str]:
        """Names of the sticky errors that are set."""
        return [name for name, value in self.read("errors").items() if value]

    def clear_errors(self, bits: Iterable[str]) -> None:
        """Clear these sticky errors and no other: one that is set behind their reading stays."""
        self.write("errors", **dict.fromkeys(bits, 1))

    def raise_errors(self) -> None:
        """Clear the sticky errors and raise them, if any is set."""
        if bits := self.error_bits():
            self.clear_errors(bits)
            fields = self.view.placed("errors").register.fields
            raise core_error(bits, {field.name: field.description for field in fields})

    def enable_irq(self, on: bool = True) -> None:
        """Let `irq` say that a layer is done or something went wrong, and nothing of before; or keep it low."""
        self.clear_irq()
        self.write("irq_enable", **dict.fromkeys(self.read("irq_enable"), int(on)))

    def clear_irq(self) -> None:
        """Clear the causes of `irq` that have come."""
        causes = self.read("irq_status")
        if any(causes.values()):
            self.write("irq_status", **causes)

    def counters(self) -> dict[str, Any]:
        """The counters of the latest snapshot: totals, and `cores`, a list of those of each core."""
        totals: dict[str, Any] = {name: self._count(name) for name in COUNTERS}
        cores = range(self.config.cores)
        return totals | {"cores": [{name: self._count(f"core[{i}].{name}") for name in CORE_COUNTERS} for i in cores]}

    def _count(self, path: str) -> int:
        low, high = (self.read(f"{path}_{half}")["count"] for half in ("lo", "hi"))
        return low | high << 32
