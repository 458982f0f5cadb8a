"""The channels of the settings as loaded channels, each with its own apprise instance and its own secrets."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import apprise
from apprise.attachment.memory import AttachMemory
from apprise.conversion import convert_between

from controlplane.model.errors import ControlplaneError, InvalidInput, Place, Problem
from controlplane.model.labels import printable
from controlplane.model.notifications import Action, Message
from controlplane.model.rate import Rate
from controlplane.model.severity import Severity
from controlplane.notify import draw
from controlplane.notify.addresses import Kind, edits, kind_of, own, scrub, secrets_of
from controlplane.notify.mail import PICTURE, html
from controlplane.notify.message import width
from controlplane.notify.pace import HOUSE
from controlplane.notify.plain import ANY, Space, inert
from controlplane.notify.plugins import register
from controlplane.notify.preview import bodies
from controlplane.notify.receipt import CURRENT, Attempt, Receipt, Upload, Verdict
from controlplane.notify.routing import URGENT
from controlplane.notify.thread import NOTHING, Thread, edit, superseded
from controlplane.settings import Channel as Declared

__all__ = ["Channel", "Channels", "load_channels", "scrub"]

_DETAIL = 300
_PATIENCE = timedelta(seconds=3)
"""How long a mail waits for its chart."""
_ATTACH: Any = AttachMemory
_CONVERT: Any = convert_between
_TYPES = {
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.INFO: apprise.NotifyType.INFO,
}


@dataclass(frozen=True, slots=True)
class Channel:
    """One loaded channel."""

    name: str
    kind: Kind
    rate: Rate
    secrets: tuple[str, ...] = field(repr=False)
    _apprise: Any = field(repr=False)
    edits: bool = False
    """Whether later messages of a page edit the first one."""
    buttons: bool = False
    """Whether messages have buttons, because something receives what they send."""
    _follows: bool = False
    """Whether a chart is sent after its message."""
    _mail: bool = False
    """Whether it takes HTML with the chart in it."""
    _space: Space = ANY
    """What it takes of plain text."""

    def requests(self, message: Message, thread: Thread = NOTHING) -> int:
        """How many requests a send of the message makes at most."""
        if self.edits:
            return 1 + (thread.shown is not None) + len(thread.superseded)
        return len(bodies(self.kind, message))

    def unwanted(self, message: Message, thread: Thread) -> str:
        """Why there is nothing to send; empty where there is."""
        if message.action is not Action.ACKNOWLEDGE or self.kind is Kind.PAGERDUTY:
            return ""
        if not self.edits:
            return "an acknowledgement is shown where messages can be edited, which they can't be here"
        return "" if thread.shown is not None else "no message of the page is there that could show who has it"

    def send(self, message: Message, attempt: Attempt, thread: Thread = NOTHING) -> Receipt:
        """Render and send once, and say what came of it; raises nothing, and no secret is in the receipt."""
        token = CURRENT.set(attempt)
        try:
            receipt = Receipt(Verdict.DELIVERED)
            made = bodies(self.kind, message, buttons=self.buttons, space=self._space)
            if self.edits:
                attempt.edit = None if thread.shown is None else edit(message, thread.shown, made[0])
                attempt.ends = tuple(superseded(message, shown) for shown in thread.superseded)
            for body in made:
                attempt.body, attempt.receipt = body, None
                last = self._send(message, attempt)
                # What names the message is the answer to the first part.
                receipt = last if not receipt.reference or last.verdict is not Verdict.DELIVERED else receipt
                if last.verdict is not Verdict.DELIVERED:
                    break
        except Exception as error:  # noqa: BLE001 - a plugin's fault is the failure of one attempt
            receipt = Receipt(Verdict.RETRY, f"{type(error).__name__}: {error}")
        finally:
            CURRENT.reset(token)
        return self._clean(receipt)

    @property
    def draws(self) -> bool:
        """Whether it takes charts."""
        return self._follows or self._mail

    def illustrates(self, message: Message) -> bool:
        """Whether the chart of the message follows it in a send of its own."""
        return self._follows and message.chart is not None and message.action is Action.TRIGGER

    def illustrate(self, message: Message, reference: str, attempt: Attempt) -> Receipt:
        """Send the chart of a message that has arrived; raises nothing, as `send`."""
        token = CURRENT.set(attempt)
        try:
            receipt = self._illustrate(message, reference, attempt)
        except Exception as error:  # noqa: BLE001 - a chart that can't be drawn is no message lost
            receipt = Receipt(Verdict.REJECTED, f"{type(error).__name__}: {error}")
        finally:
            CURRENT.reset(token)
        return self._clean(receipt)

    def _illustrate(self, message: Message, reference: str, attempt: Attempt) -> Receipt:
        title, picture = draw.caption(message), _drawn(message, attempt.timeout)
        if self.edits:
            attempt.upload = Upload(PICTURE, title, picture, reference)
            return self._notify(title, "chart", apprise.NotifyType.INFO, attempt)
        return self._notify("", inert(title), apprise.NotifyType.INFO, attempt, picture=picture)

    def _send(self, message: Message, attempt: Attempt) -> Receipt:
        text = attempt.body if self.kind is Kind.TEXT else {"title": "", "body": message.incident}
        ended = message.action is Action.RESOLVE
        style = apprise.NotifyType.SUCCESS if ended else _TYPES[message.severity]
        if not self._mail:
            return self._notify(text["title"], text["body"], style, attempt)
        picture, detail = None, ""
        if message.chart is not None and message.action is Action.TRIGGER:
            try:
                picture = _drawn(message, min(_PATIENCE, attempt.timeout / 3))
            except Exception as error:  # noqa: BLE001 - a chart that can't be drawn is no message lost
                detail = f"sent without its chart: {type(error).__name__}: {error}"
        page = text.get("html") or html(message, picture=picture is not None)
        receipt = self._notify(text["title"], page, style, attempt, picture=picture, written=apprise.NotifyFormat.HTML)
        return replace(receipt, detail=detail) if receipt.verdict is Verdict.DELIVERED else receipt

    def _notify(
        self,
        title: str,
        body: str,
        style: apprise.NotifyType,
        attempt: Attempt,
        *,
        picture: bytes | None = None,
        written: apprise.NotifyFormat = apprise.NotifyFormat.TEXT,
    ) -> Receipt:
        attach = None if picture is None else _ATTACH(content=picture, name=PICTURE, mimetype="image/png")
        result = self._apprise.notify(
            body=body,
            title=title,
            notify_type=style,
            body_format=written,
            interpret_escapes=False,
            attach=attach,
        )
        if self.kind is not Kind.TEXT and attempt.receipt is not None:
            return attempt.receipt
        if result.status is apprise.AppriseResultStatus.SUCCESS:
            return Receipt(Verdict.DELIVERED)
        logs = "; ".join(str(entry.message) for entry in result.logs())
        return Receipt(Verdict.RETRY, f"apprise reports {result.status.name}: {logs or 'no reason given'}")

    def _clean(self, receipt: Receipt) -> Receipt:
        # First the secrets, then the cut: a cut secret would no longer be recognised.
        detail, reference = (scrub(text, self.secrets) for text in (receipt.detail, receipt.reference))
        return replace(receipt, detail=printable(detail, _DETAIL), reference=printable(reference))


@dataclass(frozen=True, slots=True)
class Channels:
    """Every loaded channel by name, and why the others couldn't be loaded."""

    loaded: Mapping[str, Channel]
    broken: Mapping[str, str]
    """Declared channels that can't be used now → what is wrong and how to mend it."""
    timeout: timedelta
    """Hard limit of one send."""


def load_channels(
    channels: Sequence[Declared],
    *,
    timeout: timedelta = timedelta(seconds=15),
    strict: bool = True,
    buttons: bool = False,
) -> Channels:
    """Load every declared channel; InvalidInput names each one that can't be used, and the remedy, but no secret.

    With `strict=False` such channels end up in `broken` instead, so that the others go on; what waits for them is kept.
    With `buttons` Slack's messages have those that acknowledge and silence.
    """
    register()
    loaded: dict[str, Channel] = {}
    problems: list[Problem] = []
    broken: dict[str, str] = {}
    for channel in channels:
        try:
            loaded[channel.name] = _load(channel, buttons)
        except ControlplaneError as error:
            broken[channel.name] = str(error)
            problems.append(Problem(Place("settings", path=f"notify.channels.{channel.name}"), str(error)))
    if strict and problems:
        raise InvalidInput(problems)
    return Channels(loaded, broken, timeout)


def _load(channel: Declared, buttons: bool) -> Channel:
    url = channel.url.read().strip()
    secrets = secrets_of(url)
    _Scrubber.hide(secrets)
    where = f"environment variable {channel.url.env}" if channel.url.env else f"file {channel.url.file}"
    if "://" not in url or any(char.isspace() or char == "," for char in url):
        raise ControlplaneError(f"{where} doesn't hold one apprise URL; put exactly one there, such as {_EXAMPLES}")
    asset = apprise.AppriseAsset(async_mode=False, service_timeout=0, http_redirects=False)
    service = apprise.Apprise(asset=asset)
    if not service.add(own(url)) or len(service) != 1:
        raise ControlplaneError(
            f"the URL in {where} isn't one that can be notified; write it as in {_EXAMPLES}, or as apprise documents it"
        )
    kind = kind_of(url)
    mail = own(url).partition("://")[0].lower() in _MAIL
    plugin: Any = service[0]
    if mail:
        plugin.inline = True  # what the HTML refers to is part of it and no attachment
        plugin.request_rate_per_sec = 0  # the rate is kept here, where other work goes on meanwhile
    rate = channel.rate or HOUSE[kind]
    follows = _follows(url, service)
    space = ANY
    # Cut HTML would be broken, and with `?overflow=split` the URL asks for everything.
    if kind is Kind.TEXT and not mail and plugin.overflow_mode != apprise.OverflowMode.SPLIT:
        plugin.overflow_mode = apprise.OverflowMode.TRUNCATE
        space = _space(plugin)
    return Channel(channel.name, kind, rate, secrets, service, edits(url), buttons, follows and not mail, mail, space)


def _space(plugin: Any) -> Space:
    wanted = plugin.resolve_format(apprise.NotifyFormat.TEXT)

    def taken(text: str) -> int:
        return width(_CONVERT(apprise.NotifyFormat.TEXT, wanted, text))

    return Space(plugin.title_maxlen or None, plugin.body_maxlen or None, taken)


def _drawn(message: Message, patience: timedelta) -> bytes:
    assert message.chart is not None
    return draw.picture(message.chart, draw.caption(message), patience.total_seconds())


def _follows(url: str, service: Any) -> bool:
    # What reads messages by program, pagers and SMS get one message and no second one for a picture.
    scheme = own(url).partition("://")[0].lower()
    return edits(url) or (bool(service[0].attachment_support) and scheme not in URGENT | _MACHINES)


_MAIL = {"mailto", "mailtos"}
_MACHINES = {f"{name}{secure}" for name in ("json", "xml", "form") for secure in ("", "s")}
_EXAMPLES = (
    "slackops://hooks/T…/B…/…, slackops://bot/xoxb-…/channel, pdevents://routing-key or mailtos://user:password@host"
)


class _Scrubber(logging.Filter):
    """Takes known secrets out of what apprise and urllib3 log; both log URLs."""

    _instance: "_Scrubber | None" = None
    _LOGGERS = ("apprise", "urllib3", "urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "requests")

    def __init__(self) -> None:
        super().__init__()
        self._secrets: tuple[str, ...] = ()
        self._format: Callable[[logging.LogRecord], str] = logging.Formatter().format

    @classmethod
    def hide(cls, secrets: Sequence[str]) -> None:
        """Hide these, too, from now on."""
        if cls._instance is None:
            cls._instance = cls()
            for name in cls._LOGGERS:
                logging.getLogger(name).addFilter(cls._instance)
        every = {*cls._instance._secrets, *secrets}
        cls._instance._secrets = tuple(sorted(every, key=len, reverse=True))

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the record's text, with the traceback in it, by its scrubbed form."""
        record.msg = scrub(self._format(record), self._secrets)
        record.args, record.exc_info, record.exc_text, record.stack_info = (), None, None, None
        return True
