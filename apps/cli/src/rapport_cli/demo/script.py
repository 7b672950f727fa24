"""The demo, phase by phase."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from measures.domain.instrument import Instrument, load_instruments
from rapport_stack.spans import Story, render
from rapport_stack.workbench import Workbench
from rich.table import Table

from rapport_cli import loading
from rapport_cli.board import Board, Follower, table, wait_until
from rapport_cli.client import Client
from rapport_cli.demo import feeding, people
from rapport_cli.demo.ledger import Ledger, WaveLedger
from rapport_cli.demo.reconciliation import Reconciled, counted_everywhere, recomputed, reconcile, untold
from rapport_cli.demo.show import Show
from rapport_cli.errors import CommandError
from rapport_cli.synthetic.plan import WavePlan
from rapport_cli.synthetic.responses import responses
from rapport_cli.synthetic.story import BROKEN_QUESTION, ON_TARGET, POLICE, SEED, STAKEHOLDERS, STORY

ROLES: Final = ("engagement-officer", "researcher", "collector", "analyst", "operator")
SUPPRESSION_BASE: Final = 30
SETTLES_WITHIN: Final = 60.0
MOST_MESSAGES: Final = 10_000
PAGE: Final = 200
SPANS: Final = 48
FAN: Final = 3
"""Of the trace, as much as a page holds."""


@dataclass(slots=True)
class Demo:
    """One run. `differences` is what is not as it should be; empty where all is well."""

    bench: Workbench
    client: Client
    show: Show
    instruments: Mapping[str, Instrument] = field(
        default_factory=lambda: {instrument.code: instrument for instrument in load_instruments()}
    )
    ledger: Ledger = field(default_factory=Ledger)
    board: Board = field(default_factory=Board)
    ids: dict[str, str] = field(default_factory=dict)
    trace: str = ""
    leaving: str = ""
    kept: str = ""
    broken: str = ""
    reconciled: list[Reconciled] = field(default_factory=list)
    departing: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def run(self) -> None:
        follower = Follower(self.client, self.board, synthetic=True)
        with self.show.phase("The strategy's own data, and synthetic stakeholders"):
            self.load()
        follower.start()
        try:
            with self.show.phase("A promise to keep, one to break, and who wants to hear of it"):
                self.engage()
            with self.show.phase("Waves of answers through the public API"), self.show.filling(self.board):
                for plan in STORY:
                    self.wave(plan)
            with self.show.phase("Every acknowledged response judged, every message settled, everything counted again"):
                self.settle()
        finally:
            follower.stop()
        self.tell()

    def load(self) -> None:
        self.show.line(f"{loading.load_plan(self.client)} activities of the delivery plan (Annex A)")
        self.show.line(f"{loading.load_definitions(self.client)} measures (Annex B)")
        for instrument in self.instruments.values():
            loading.publish(self.client, instrument, synthetic=True)
        loading.publish(
            self.client, self.instruments[STAKEHOLDERS], synthetic=True, version=2, broken={BROKEN_QUESTION}
        )
        self.show.line(f"{len(self.instruments)} instruments, one of them in two versions")
        self.ids = loading.load_stakeholders(self.client)
        self.show.line(f"{len(self.ids)} synthetic stakeholders, 550 of them in the survey's segments")

    def engage(self) -> None:
        with self.bench.mailbox() as mailbox:
            self.leaving = people.subscribe(self.client, mailbox, self.ids)
        self.kept = people.open_exercise(self.client, self.ids, days=14, title="Synthetic exercise on letters")
        self.broken = people.open_exercise(self.client, self.ids, days=-30, title="Synthetic exercise on waiting")
        people.log_contact(self.client, self.ids, self.kept)
        self.show.line(f"exercise on letters: reply published, promise {people.reply(self.client, self.kept)}")
        self.show.line("exercise on waiting: recorded late, its reply was due a month ago")
        if not wait_until(lambda: loading.await_populations(self.client, 550), seconds=SETTLES_WITHIN):
            raise CommandError("The measures have not heard of the stakeholders.", "See the logs of registry-worker.")

    def wave(self, plan: WavePlan) -> None:
        rows = responses(plan, self.instruments[plan.instrument], SEED)
        wave = self.ledger.waves[plan.name] = feeding.open_wave(self.client, plan)
        begun = self.show.elapsed
        how = "NDJSON"
        match plan.instrument, plan.ordinal:
            case "stakeholder-survey", 0:
                how = "one by one"
                feeding.one_by_one(self.client, wave, rows)
                feeding.submit(self.client, wave, rows[0])  # sent twice: acknowledged once
            case "stakeholder-survey", 1:
                how = "CSV"
                feeding.comma_separated(self.client, wave, rows)
            case "stakeholder-survey", _:
                how = "one by one and CSV"
                self.traced(wave, rows)
            case "public-perceptions-tracker", 1:
                feeding.stream(self.client, wave, rows[: len(rows) // 2])
                people.withdraw_consent(self.client, self.ids[people.LEAVING])
                feeding.stream(self.client, wave, rows[len(rows) // 2 - 100 :])  # a hundred rows sent twice
            case _:
                feeding.stream(self.client, wave, rows)
        if not plan.stays_open:
            feeding.close_wave(self.client, wave)
        took = self.show.elapsed - begun
        self.show.line(
            f"{plan.instrument} wave {plan.ordinal}: {wave.accepted:,} acknowledged ({how}, {took:.1f} s, "
            f"{wave.sent / took:,.0f}/s){', repeated ' + str(wave.repeated) if wave.repeated else ''}"
            f" · {self.show.verdicts(self.board)}"
        )

    def traced(self, wave: WaveLedger, rows: list[feeding.Row]) -> None:
        """All but one of the answers that a figure needs to be shown, then the one that makes the difference.

        It is given under a name, as only such a response may be followed by a trace.
        """
        police = [row for row in rows if row["groups"] == [POLICE]][:SUPPRESSION_BASE]
        feeding.one_by_one(self.client, wave, police[:-1])
        expected = partial(self.base_reaches, wave, SUPPRESSION_BASE - 1)
        if not wait_until(expected, seconds=SETTLES_WITHIN):
            raise CommandError("The measures do not count.", "See the logs of feedback-worker and measures-worker.")
        self.trace = secrets.token_hex(16)
        named = {**police[-1], "stakeholder_id": self.ids["synthetic-0001"]}
        feeding.submit(self.client, wave, named, traceparent=f"00-{self.trace}-{secrets.token_hex(8)}-01")
        rest = [row for row in rows if row not in police]
        feeding.comma_separated(self.client, wave, rest)

    def base_reaches(self, wave: WaveLedger, base: int) -> bool:
        figure = self.client.get("measures", "/measures/COR-1", synthetic="true")["figure"]
        return figure is not None and figure["wave_id"] == wave.wave_id and figure["base"] >= base

    def settle(self) -> None:
        if not wait_until(partial(counted_everywhere, self.client, self.ledger), seconds=SETTLES_WITHIN, every=0.25):
            self.differences.append("not every acknowledged response was judged in time")
        self.board.fill(self.client.get("measures", "/measures", synthetic="true"))
        self.show.line(f"judged: {self.show.verdicts(self.board)}  [dim]{self.show.elapsed:5.1f} s[/]")
        self.reconciled = [reconcile(self.client, wave) for wave in self.ledger.waves.values()]
        self.differences += [text for each in self.reconciled for text in each.differences]
        figures = list(self.board.figures.values())
        self.departing = recomputed(self.client, figures)
        self.differences += [*self.departing, *untold(figures)]
        self.show.line(f"counted again: {len(figures)} figures  [dim]{self.show.elapsed:5.1f} s[/]")
        if not wait_until(
            lambda: people.promise_state(self.client, self.broken) == "broken", seconds=SETTLES_WITHIN, every=0.25
        ):
            self.differences.append("the promise that was overdue was not broken by the clock")
        if not wait_until(self.all_messages_settled, seconds=SETTLES_WITHIN, every=0.25):
            self.differences.append("messages were still on their way")
        self.show.line(f"settled: every message  [dim]{self.show.elapsed:5.1f} s[/]")

    def all_messages_settled(self) -> bool:
        return not any(self.messages(state) for state in ("queued", "sending"))

    def messages(self, state: str) -> list[dict[str, Any]]:
        """All messages in a state."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = self.client.get("notifications", "/messages", state=state, limit=PAGE, **after)
            found += page["items"]
            if page["next"] is None:
                return found
            after = {"cursor": page["next"]}

    def tell(self) -> None:
        figures = list(self.board.figures.values())
        with self.show.phase("The measures and their verdicts (synthetic data: they say nothing about anybody)"):
            self.show.console.print(table(self.board))
        with self.show.phase("Messages that subscribers received"):
            self.tell_messages()
        with self.show.phase("The trace of one response"):
            self.tell_trace()
        with self.show.phase("Acknowledged = counted"):
            self.tell_reconciliation()
            equal = len(figures) - len(self.departing)
            self.show.line(f"{equal} of {len(figures)} figures recomputed from their responses, equal to the last bit")
        on_target = self.board.figures[ON_TARGET, "all"]
        if (on_target["share"], on_target["verdict"]) != (on_target["threshold"], "cannot_tell"):
            self.differences.append(f"{ON_TARGET} is {on_target['share']}: {on_target['words']}")

    def tell_messages(self) -> None:
        with self.bench.mailbox() as mailbox:
            received = mailbox.messages(limit=MOST_MESSAGES)
            tried = len(mailbox.messages(turned_away=True, limit=MOST_MESSAGES)) - len(received)
        drawn = Table("to", "by", "messages", "the last one", box=None, pad_edge=False)
        for to in dict.fromkeys(message.to for message in received):
            theirs = [message for message in received if message.to == to]
            signed = ", signatures right" if all(message.verified for message in theirs) else ""
            drawn.add_row(to, theirs[-1].kind + signed, f"{len(theirs):,}", theirs[-1].subject)
        self.show.console.print(drawn)
        self.show.line(f"{tried} attempts met a fault on purpose (503) and were made again")
        withheld = self.messages("suppressed")
        reasons = sorted({str(message["reason"]) for message in withheld})
        self.show.line(f"withheld: {len(withheld):,} messages, reason: {', '.join(reasons)}")
        if reasons != ["no-consent"] or {message["subscription_id"] for message in withheld} != {self.leaving}:
            self.differences.append(f"messages were withheld for {reasons}, not for one withdrawn consent alone")
        if failed := self.messages("failed"):
            self.differences.append(f"{len(failed)} messages failed")
        subjects = [message.subject for message in received]
        for words in ("Reply published", "Promise broken"):
            told = sum(words in subject for subject in subjects)
            self.show.line(f"{words.lower()}: told {told} time(s)")
            if not told:
                self.differences.append(f"nobody was told of: {words.lower()}")

    def tell_trace(self) -> None:
        with self.bench.spans() as store:

            def complete() -> bool:
                return any(span.service == "notifications" for span in store.story(self.trace))

            wait_until(complete, seconds=15, every=0.25)
            missing = self.services_missing(store.story(self.trace))
            self.show.console.print(render(store.story(self.trace, limit=SPANS, fan=FAN)))
        self.show.line("the whole of it, and any other: rapport trace, while the platform is up")
        if missing:
            self.differences.append(f"the trace of one response did not reach {', '.join(sorted(missing))}")

    def services_missing(self, story: Story) -> set[str]:
        return {"feedback", "measures", "notifications"} - {span.service for span in story}

    def tell_reconciliation(self) -> None:
        found = self.reconciled
        drawn = Table(box=None, pad_edge=False)
        drawn.add_column("wave")
        for column in ("sent", "acknowledged", "kept", "counted"):
            drawn.add_column(column, justify="right")
        drawn.add_column("")
        for each in found:
            numbers = (f"{number:,}" for number in (each.sent, each.acknowledged, each.kept, each.counted))
            drawn.add_row(each.name, *numbers, "[red]differs[/]" if each.differences else "[green]equal[/]")
        total = [sum(getattr(each, name) for each in found) for name in ("sent", "acknowledged", "kept", "counted")]
        drawn.add_row("all", *(f"{number:,}" for number in total), style="bold")
        self.show.console.print(drawn)
