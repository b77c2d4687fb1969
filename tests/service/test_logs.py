"""Every line of the log is one JSON object."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from scheduler import logs


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Send all logs to a text; what was set before comes back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("scheduler")
    before = (root.handlers[:], root.level, ours.level)
    text = io.StringIO()
    logs.setup("info", text)
    yield text
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_fields_stand_beside_the_message_and_replace_nothing(log: io.StringIO) -> None:
    logging.getLogger("scheduler.decision").info("ai/%s placed", "train", extra={"fields": {"cost": 5, "message": "other"}})
    (line,) = lines(log)
    assert (line["message"], line["cost"], line["level"], line["logger"]) == ("ai/train placed", 5, "info", "scheduler.decision")
    assert str(line["time"]).endswith("+00:00")


def test_a_traceback_is_a_field_of_the_same_line(log: io.StringIO) -> None:
    try:
        1 / 0  # noqa: B018 - a bug
    except ZeroDivisionError:
        logging.getLogger("scheduler.x").exception("a bug\nin two lines")
    (line,) = lines(log)
    assert "ZeroDivisionError" in str(line["traceback"])


def test_libraries_speak_from_warnings_on_and_we_from_the_level_that_is_set(log: io.StringIO) -> None:
    logging.getLogger("aiohttp").info("chatter")
    logging.getLogger("aiohttp").warning("trouble")
    logging.getLogger("scheduler.x").debug("detail")
    assert [line["message"] for line in lines(log)] == ["trouble"]
