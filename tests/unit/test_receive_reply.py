"""The word to whoever pressed a button: over verified TLS to Slack alone, escaped, and never anywhere else."""

from pathlib import Path

import pytest

from controlplane.receive.reply import reply
from tests.provider_proxy import HOOKS, Providers, Reply
from tests.provider_proxy import providers_on_loopback as providers_on_loopback
from tests.receive_cases import REPLY_TO, paged, pressed, serving, taken_by

OK = Reply(200, "ok")


def test_only_the_person_sees_it(providers: Providers) -> None:
    providers.next_replies(HOOKS, OK)
    assert reply(REPLY_TO, "Taken before by <!channel> & <@U1> @here.")
    (asked,) = providers.to(HOOKS)
    assert asked.path == "/actions/T1/2/abc"
    assert asked.body == {
        "response_type": "ephemeral",
        "replace_original": False,
        "text": "Taken before by &lt;!channel&gt; &amp; &lt;＠U1&gt; ＠here.",
    }
    assert "authorization" not in asked.headers


@pytest.mark.parametrize("answer", [Reply(404, "expired_url"), Reply(500), Reply(disconnect=True)])
def test_slack_does_not_take_it(providers: Providers, answer: Reply) -> None:
    providers.next_replies(HOOKS, answer)
    assert not reply(REPLY_TO, "x")
    assert len(providers.to(HOOKS)) == 1, "it isn't worth a second attempt"


def test_a_redirect_is_not_followed(providers: Providers) -> None:
    providers.next_replies(HOOKS, Reply(307, headers={"Location": "https://evil.example/x"}))
    assert not reply(REPLY_TO, "x")
    assert (len(providers.requests), providers.refused) == (1, [])


@pytest.mark.parametrize("url", ["https://evil.example/x", "http://hooks.slack.com/x", "https://slack.com/api/x", ""])
def test_nobody_else_is_asked(providers: Providers, url: str) -> None:
    assert not reply(url, "x")
    assert (providers.requests, providers.refused) == ([], [])


def test_a_long_word_is_cut(providers: Providers) -> None:
    providers.next_replies(HOOKS, OK)
    assert reply(REPLY_TO, "&" * 10_000)
    assert len(providers.to(HOOKS)[0].body["text"]) <= 1_000


def test_from_the_button_to_the_word(providers: Providers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SLACK_SECRET", "slack-5up3r-s3cret")
    providers.next_replies(HOOKS, OK)
    with serving(tmp_path, say=reply) as served:
        paged(served.log)
        assert served.slack(pressed()) == 200
        assert taken_by(served.log) == {"a1": "slack:mira", "a2": "slack:mira"}
        assert providers.received.get(timeout=10).body["text"] == "You have 2 alerts now."
