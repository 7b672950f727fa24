"""`rapport load`: the strategy's own data and synthetic stakeholders."""

from measures.domain.instrument import load_instruments

from rapport_cli import loading
from rapport_cli.client import Client
from rapport_cli.console import out
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings


def load() -> None:
    """Load delivery plan, measures, instruments and synthetic stakeholders. Loading twice changes nothing."""
    folder = Folder(CliSettings.from_environment().folder)
    with Client.of(folder, "engagement-officer", "researcher", "analyst") as client:
        out.print(f"delivery plan:  {loading.load_plan(client)} activities (Annex A)")
        out.print(f"measures:       {loading.load_definitions(client)} definitions (Annex B)")
        for instrument in load_instruments():
            new = loading.publish(client, instrument, synthetic=False)
            out.print(f"instrument:     {instrument.code}, version 1{'' if new else ' (was there)'}")
        reference = client.get("registry", "/reference")
        out.print(f"reference data: {len(reference['categories'])} categories, {len(reference['regions'])} regions")
        out.print(f"stakeholders:   {len(loading.load_stakeholders(client))}, all of them synthetic")
