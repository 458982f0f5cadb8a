"""A word to whoever pressed a button in Slack, for their eyes alone."""

from datetime import timedelta

from controlplane.notify.post import Answer, post
from controlplane.notify.receipt import Attempt
from controlplane.notify.slack import escape
from controlplane.receive.slack import is_slack

PATIENCE = timedelta(seconds=5)
_TEXT = 1_000


def reply(url: str, said: str) -> bool:
    """POST what was done, or why it wasn't, to a `response_url`; whether Slack took it. Nobody else is ever asked."""
    if not is_slack(url):
        return False
    body = {"response_type": "ephemeral", "replace_original": False, "text": escape(said, _TEXT)}
    answer = post(Attempt(timeout=PATIENCE), url, body)
    return isinstance(answer, Answer) and answer.status == 200
