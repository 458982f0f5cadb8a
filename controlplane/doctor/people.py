"""Checks of who is told, and of what comes back: channels, digest, heartbeats, schedules, the receiver."""

from datetime import UTC, datetime

from controlplane import bootstrap
from controlplane.doctor.findings import Finding, Findings, failures
from controlplane.model.errors import ControlplaneError
from controlplane.model.routes import Tree
from controlplane.model.severity import Severity
from controlplane.model.units import many
from controlplane.settings import Settings


def channels(settings: Settings) -> Findings:
    """Whether each channel can be used, and whether a critical alert reaches one; nothing is sent."""
    notify = settings.notify
    if not notify.channels:
        yield Finding("channels", "warn", "there is no channel: nobody will be told", "Add one under notify.channels")
        return
    channels = bootstrap.channels(settings)
    nodes = Tree(bootstrap.route(notify)).nodes.values()
    for channel in notify.channels:
        if channel.name in channels.broken:
            yield from failures(
                channel.name, ControlplaneError(channels.broken[channel.name]), "Correct the channel's url"
            )
            if named := sum(channel.name in node.channels for node in nodes):
                remedy = "Mend the channel; until then `controlplane up` doesn't start"
                yield Finding(channel.name, "fail", f"{many(named, 'route')} would tell nobody there", remedy)
        else:
            loaded = channels.loaded[channel.name]
            message = f"{loaded.kind.value} channel is ready, at most {loaded.rate} (nothing was sent)"
            yield Finding(channel.name, "ok", message)
    critical = {"severity": Severity.CRITICAL.value, "kind": "alert"}
    if not any(node.channels for node in Tree(bootstrap.route(notify)).of(critical)):
        remedy = "Let the root of notify.route name a channel"
        yield Finding("channels", "warn", "a critical alert that no other route matches reaches no channel", remedy)


def digest(settings: Settings) -> Findings:
    """Who gets it; nothing where there is none."""
    from controlplane.notify.routing import schemes, told_digest

    notify = settings.notify
    if notify.digest is None:
        return
    known = schemes(notify.channels)
    to, why = told_digest(Tree(bootstrap.route(notify)), {}, known, datetime.now(UTC), always=True)
    if to:
        yield Finding("digest", "ok", f"the daily digest goes to {', '.join(to)}")
    else:
        remedy = 'Let a route that matches kind="digest" name a channel, or declare one that sends mail'
        yield Finding("digest", "warn", f"the daily digest reaches nobody: {why}", remedy)


def heartbeats(settings: Settings) -> Findings:
    """Whether each can be sent, and what came of the last one; none is sent, since that would say that all is well."""
    from controlplane.monitor.vitals import BeatVitals, read

    beats = (read(settings.home, BeatVitals) or BeatVitals()).beats
    for one in settings.notify.heartbeat:
        try:
            one.url.read()
        except ControlplaneError as error:
            yield from failures(one.name, error, "Correct the heartbeat's url")
            continue
        last = beats.get(one.name)
        if last is None:
            yield Finding(one.name, "ok", "heartbeat is ready; none was sent yet")
        elif last.ok:
            yield Finding(one.name, "ok", f"the last heartbeat got through at {last.at:%Y-%m-%d %H:%M:%SZ}")
        else:
            remedy = "Mend what is said; the next tick sends it again"
            yield Finding(one.name, "warn", f"heartbeat at {last.at:%Y-%m-%d %H:%M:%SZ}: {last.error}", remedy)


def receive(settings: Settings) -> Findings:
    """What PagerDuty and Slack can tell, and whether what came was signed; nothing where neither is set up."""
    from controlplane.receive.health import look

    for verdict, message, remedy in look(settings.receive, settings.home):
        yield Finding("receive", verdict, message, remedy)


def on_call(settings: Settings) -> Findings:
    """Whether each schedule can be read, and whether somebody is on call all the time."""
    if not settings.notify.schedules:
        return
    from controlplane.oncall import check
    from controlplane.oncall.roster import Roster, settle

    roster = Roster(settings.notify.schedules, settings.notify.people, settings.home)
    now = datetime.now(UTC)
    settle(roster.refresh(now))
    for name in roster.schedules:
        for problem in check.problems(roster, name, now):
            yield Finding(name, "fail", f"{problem.place}: {problem.message}", problem.remedy)
        found = check.gaps(roster, name, now)
        if found:
            remedy = "Put somebody there; until then the next level of an escalation is told at once"
            yield Finding(name, "warn", f"nobody is on call {check.told(found, now)}", remedy)
        else:
            yield Finding(name, "ok", f"somebody is on call in the next {check.SOON.days} days")
