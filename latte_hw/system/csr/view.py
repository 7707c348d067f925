"""The register map as a driver sees it: addresses by path, words by field. Needs the standard library only."""

from collections.abc import Mapping

from latte_hw.config.errors import LatteError
from latte_hw.system.csr.model import Placed, RegisterMap


class RegisterView:
    """Looks registers up by their path: `control`, `core[1].kept_lo`, `head_table[5].scale`.

    Every method raises :class:`LatteError` for a path, a field or a value that the map does not have.
    """

    def __init__(self, registers: RegisterMap) -> None:
        self.map = registers
        self._placed = {placed.path: placed for placed in registers.placed()}

    def placed(self, path: str) -> Placed:
        """The register of that path."""
        try:
            return self._placed[path]
        except KeyError:
            raise LatteError(f"{self.map.name} has no register {path!r}; docs/registers.md lists them") from None

    def address(self, path: str) -> int:
        """Byte address."""
        return self.placed(path).address

    def pack(self, path: str, values: Mapping[str, int]) -> int:
        """The word with these values in its fields; fields not named are 0."""
        fields = {field.name: field for field in self.placed(path).register.fields}
        word = 0
        for name, value in values.items():
            if name not in fields:
                raise LatteError(f"{path} has no field {name!r}, only {', '.join(fields)}")
            field = fields[name]
            low, high = field.range
            if not low <= value <= high:
                raise LatteError(f"{path}.{name} must be from {low} to {high}, not {value}")
            word |= (value & field.mask) << field.lsb
        return word

    def unpack(self, path: str, word: int) -> dict[str, int]:
        """Values of all fields of a word."""
        values = {}
        for field in self.placed(path).register.fields:
            bits = word >> field.lsb & field.mask
            values[field.name] = bits - (field.mask + 1) if bits > field.range[1] else bits
        return values
