"""Tables on a terminal."""

from rich.table import Table
from rich.text import Text

from mixsd.results.cells import Rows, shown


def printed(title: str, rows: Rows) -> Table:
    """A table for rich's console; what stands in cells is text, never markup."""
    table = Table(title=Text(title), title_justify="left")
    for column in rows[0]:
        table.add_column(Text(column))
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row.values()))
    return table
