"""Our own apprise plugins: `slackops://` and `pdevents://`. They send the body they are given and leave a receipt.

slackops://hooks/<T…>/<B…>/<secret>     incoming webhook
slackops://bot/<xoxb-…>/<channel>       the Web API
pdevents://<routing key>[?region=eu]    Events API v2
"""

import re
from typing import Any

import apprise

from controlplane.notify.addresses import PAGERDUTY, SLACK
from controlplane.notify.post import excerpt, post
from controlplane.notify.receipt import CURRENT, Attempt, Receipt, Verdict
from controlplane.notify.slackbot import Bot

WEBHOOK = "https://hooks.slack.com/services"
ENQUEUE = {"us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"}

# apprise annotates only part of itself.
NotifyBase: Any = apprise.NotifyBase


class _Receipted(NotifyBase):  # type: ignore[misc]  # see above
    """A plugin that takes its body from the running attempt and leaves the outcome there."""

    request_rate_per_sec = 0
    title_maxlen = 250

    def send(self, **_: Any) -> bool:
        """Send the body of the running attempt; apprise's own title and body are not used."""
        attempt = CURRENT.get()
        if attempt is None:
            self.logger.warning(f"{self.service_name} sends for the outbox only")
            return False
        attempt.receipt = self.deliver(attempt)
        return attempt.receipt.verdict is Verdict.DELIVERED

    def deliver(self, attempt: Attempt) -> Receipt:
        """One request and what came of it."""
        raise NotImplementedError

    def url(self, *_: Any, **__: Any) -> str:
        """The URL without its secrets, whatever is asked for."""
        return f"{self.secure_protocol}://***"


class SlackOps(_Receipted):
    """Slack by incoming webhook or bot token."""

    service_name = "Slack (controlplane)"
    secure_protocol = SLACK

    def __init__(self, mode: str, path: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._webhook = self._token = self._channel = ""
        if mode == "hooks" and len(path) == 3 and all(re.fullmatch(r"[A-Za-z0-9]+", part) for part in path):
            self._webhook = "/".join((WEBHOOK, *path))
        elif mode == "bot" and len(path) == 2 and re.fullmatch(r"xox[a-z]-[A-Za-z0-9-]+", path[0]) and path[1]:
            self._token, self._channel = path
            if not re.fullmatch(r"[CDG][A-Z0-9]{7,}|#.+", self._channel):
                self._channel = f"#{self._channel}"
        else:
            raise TypeError("write slackops://hooks/<T…>/<B…>/<secret> or slackops://bot/<xoxb-…>/<channel>")

    @staticmethod
    def parse_url(url: str) -> dict[str, Any] | None:
        """Mode and path of the URL."""
        found: dict[str, Any] | None = NotifyBase.parse_url(url, verify_host=False)
        if found:
            found["mode"] = found["host"].lower()
            found["path"] = NotifyBase.split_path(found["fullpath"])
        return found

    def deliver(self, attempt: Attempt) -> Receipt:
        """Success is the text `ok` from a webhook, and `ok: true` from the API."""
        if self._webhook:
            answer = post(attempt, self._webhook, attempt.body)
            if isinstance(answer, Receipt):
                return answer
            if answer.status == 200 and answer.text.strip() == "ok":
                return Receipt(Verdict.DELIVERED, status=200)
            return answer.failure(f"Slack's webhook answered {excerpt(answer)}")
        bot = Bot(attempt, self._token, self._channel)
        return bot.tell() if attempt.upload is None else bot.upload(attempt.upload)


class PagerDutyEvents(_Receipted):
    """PagerDuty by Events API v2."""

    service_name = "PagerDuty (controlplane)"
    secure_protocol = PAGERDUTY

    def __init__(self, routing_key: str, region: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", routing_key) or region not in ENQUEUE:
            raise TypeError("write pdevents://<routing key> or pdevents://<routing key>?region=eu")
        self._routing_key, self._url = routing_key, ENQUEUE[region]

    @staticmethod
    def parse_url(url: str) -> dict[str, Any] | None:
        """Routing key and region of the URL."""
        found: dict[str, Any] | None = NotifyBase.parse_url(url, verify_host=False)
        if found:
            found["routing_key"] = NotifyBase.unquote(found["host"])
            found["region"] = found["qsd"].get("region", "us").lower()
        return found

    def deliver(self, attempt: Attempt) -> Receipt:
        """Success is 202 with status `success`; the event's dedup_key is the reference."""
        answer = post(attempt, self._url, {"routing_key": self._routing_key, **attempt.body})
        if isinstance(answer, Receipt):
            return answer
        data = answer.json()
        if answer.status == 202 and data.get("status") == "success":
            return Receipt(Verdict.DELIVERED, status=202, reference=str(data.get("dedup_key", "")))
        return answer.failure(f"PagerDuty answered {excerpt(answer)}")


def register() -> None:
    """Make the schemas known to apprise; a second call changes nothing."""
    manager: Any = apprise.NotificationManager()  # type: ignore[no-untyped-call]  # see above
    for plugin in (SlackOps, PagerDutyEvents):
        if plugin.secure_protocol not in manager:
            manager.add(plugin)
