"""Slack's Web API with a bot's token: post, edit in place, reply in the thread, share a picture there.

Scopes: chat:write, and files:write for pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from controlplane.notify.post import Answer, excerpt, form, post, send
from controlplane.notify.receipt import Attempt, Receipt, Upload, Verdict
from controlplane.notify.thread import Edit

API = "https://slack.com/api/"
_PASSING = {
    "fatal_error",
    "internal_error",
    "rate_limited",
    "ratelimited",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
}
"""Errors of Slack's API after which the same message may be accepted later."""


@dataclass(frozen=True, slots=True)
class Bot:
    """One attempt by a bot in a channel (id or #name)."""

    attempt: Attempt
    token: str
    channel: str

    def tell(self) -> Receipt:
        """Edit what is to be edited and reply to it, or post where there is nothing (any more); then end the others.

        A reply that may work later makes the whole attempt one to repeat: the edit then changes nothing. What isn't
        the message itself (the end of an earlier page, a reply that Slack refuses) is told in `detail`.
        """
        edit = self.attempt.edit
        receipt = None if edit is None else self._edited(edit)
        if receipt is None:
            receipt = self._posted()
        if receipt.verdict is not Verdict.DELIVERED:
            return receipt
        self.attempt.arrived = receipt
        for end in self.attempt.ends:
            failed = self._update(end)
            if failed is not None:
                receipt = replace(receipt, detail=f"the message of an earlier page stays as it was: {failed.detail}")
        return receipt

    def upload(self, upload: Upload) -> Receipt:
        """Share a picture in the thread of its message."""
        channel, _, ts = upload.reference.partition("/")
        fields = {"filename": upload.name, "length": str(len(upload.data)), "alt_txt": upload.title}
        begun = _checked(form(self.attempt, f"{API}files.getUploadURLExternal", fields, self.token))
        if isinstance(begun, Receipt):
            return begun
        url, file = str(begun.get("upload_url")), str(begun.get("file_id"))
        place = urlsplit(url)
        if place.scheme != "https" or not (place.hostname or "").endswith(".slack.com"):
            return Receipt(Verdict.REJECTED, "Slack names a place outside of slack.com to upload to")
        answer = send(self.attempt, url, upload.data, "application/octet-stream")
        if isinstance(answer, Receipt):
            return answer
        if answer.status != 200:
            return answer.failure(f"the upload was answered with {excerpt(answer)}")
        body = {"files": [{"id": file, "title": upload.title}], "channel_id": channel, "thread_ts": ts}
        done = _checked(post(self.attempt, f"{API}files.completeUploadExternal", body, self.token))
        return done if isinstance(done, Receipt) else Receipt(Verdict.DELIVERED, status=200, reference=file)

    def _edited(self, edit: Edit) -> Receipt | None:
        """None where the message can't be edited, so that it has to be posted anew."""
        failed = self._update(edit)
        if failed is not None:
            return failed if failed.verdict is Verdict.RETRY else None
        delivered = Receipt(Verdict.DELIVERED, status=200, reference=edit.reference, editable=True)
        if edit.reply is None:
            return delivered
        channel, _, ts = edit.reference.partition("/")
        failed = self._failure("chat.postMessage", {**edit.reply, "channel": channel, "thread_ts": ts})
        if failed is None:
            return delivered
        if failed.verdict is Verdict.RETRY:
            return replace(failed, detail=f"the message is up to date, the reply in its thread failed: {failed.detail}")
        return replace(delivered, detail=f"no reply in its thread: {failed.detail}")

    def _posted(self) -> Receipt:
        answer = self._call("chat.postMessage", {**self.attempt.body, "channel": self.channel})
        if isinstance(answer, Receipt):
            return answer
        channel, ts = str(answer.get("channel", "")), str(answer.get("ts", ""))
        known = bool(channel and ts)
        return Receipt(Verdict.DELIVERED, status=200, reference=f"{channel}/{ts}" if known else "", editable=known)

    def _update(self, edit: Edit) -> Receipt | None:
        channel, _, ts = edit.reference.partition("/")
        if self.channel.startswith(("C", "D", "G")) and channel != self.channel:
            return Receipt(Verdict.REJECTED, "the message is in another channel than the one of the settings")
        return self._failure("chat.update", {**edit.body, "channel": channel, "ts": ts})

    def _failure(self, method: str, body: Mapping[str, Any]) -> Receipt | None:
        answer = self._call(method, body)
        return answer if isinstance(answer, Receipt) else None

    def _call(self, method: str, body: Mapping[str, Any]) -> dict[str, Any] | Receipt:
        return _checked(post(self.attempt, API + method, body, self.token))


def _checked(answer: Answer | Receipt) -> dict[str, Any] | Receipt:
    """What the API answers, where that is `ok: true`; else the failure."""
    if isinstance(answer, Receipt):
        return answer
    data = answer.json()
    if answer.status == 200 and data.get("ok") is True:
        return data
    error = data.get("error")
    if answer.status == 200 and data.get("ok") is False and isinstance(error, str):
        verdict = Verdict.RETRY if error in _PASSING else Verdict.REJECTED
        return Receipt(verdict, f"Slack answered ok: false, {error}", 200, answer.retry_after)
    return answer.failure(f"Slack answered {excerpt(answer)}")
