import os
import sys

import httpx
import pytest
from rapport_cli.running.process import KeptProcess
from rapport_stack.ports import choose
from rapport_stack.process import until


def kept(tmp_path, program):
    return KeptProcess(
        name="example-api",
        argv=[sys.executable, "-c", program],
        env=dict(os.environ),
        log=tmp_path / "example.log",
        private=f"http://127.0.0.1:{choose(1)[0]}",
    )


@pytest.fixture
def http():
    with httpx.Client(timeout=1, trust_env=False) as client:
        yield client


def test_a_process_that_dies_comes_back_and_says_how_it_ended(tmp_path, http):
    process = kept(tmp_path, "import sys; sys.exit('no settings')")
    process.start()

    def died(times):
        process.look(http)
        return process.deaths >= times

    assert until(lambda: died(1), seconds=10)
    assert process.said == "ended with code 1; starts again in 0.5 s"
    assert until(lambda: died(2), seconds=10)
    assert process.said == "ended with code 1; starts again in 1.0 s"
    assert process.restarts == 1
    assert process.pid == 0
    assert process.last_words().splitlines() == ["no settings"] * 2


def test_a_process_that_does_not_answer_is_not_ready(tmp_path, http):
    process = kept(tmp_path, "import time; time.sleep(60)")
    process.start()
    try:
        process.look(http)
        assert not process.ready
        assert process.said == "starting"
        assert process.pid
    finally:
        process.stop()
    assert process.pid == 0


def test_the_last_words_of_a_log_in_json_are_its_messages(tmp_path):
    process = kept(tmp_path, "")
    process.log.write_text('{"event": "starting"}\n{"event": "ends", "exception": {"message": "no key"}}\nplain\n')

    assert process.last_words().splitlines() == ["starting", "ends no key", "plain"]
