"""An explanation for tools."""

from datetime import datetime
from typing import Any

from controlplane.explain.model import Answer, Explanation
from controlplane.explain.verdicts import lasting, verdict
from controlplane.model.rules import AlertRule, DriftRule
from controlplane.model.time import format_duration
from controlplane.present import iso


def document(answer: Answer, shown: int) -> dict[str, Any]:
    """The whole answer for tools."""
    return {
        "target": answer.target,
        "kind": answer.kind,
        "at": iso(answer.at),
        "digest": answer.digest,
        "digest_now": answer.digest_now,
        "explanations": [_document(one, answer.at, shown) for one in answer.explanations],
        "without_data": [{"rule": unseen.placed.id, "why": unseen.why} for unseen in answer.unseen],
        "left_out": answer.left_out,
        "samples_since": iso(answer.samples_since),
        "notes": list(answer.notes),
    }


def _document(one: Explanation, at: datetime, shown: int) -> dict[str, Any]:
    story, episode, told = one.story, one.story.episode, one.told
    rule = one.placed.rule if one.placed else None
    span = lasting(one)
    pending = story.state == "pending" and episode is not None
    return {
        "rule": one.rule,
        "alert": one.alert,
        "source": one.source,
        "labels": one.labels,
        "verdict": verdict(one, at),
        "state": story.state,
        "severity": rule.severity.value if isinstance(rule, AlertRule | DriftRule) else None,
        "condition": str(rule.when) if isinstance(rule, AlertRule) else None,
        "clear": str(rule.clear) if isinstance(rule, AlertRule) and rule.clear else None,
        "for": format_duration(span),
        "keep_firing_for": format_duration(rule.keep_firing_for) if isinstance(rule, AlertRule) else None,
        "missing": rule.missing.model_dump(mode="json") if isinstance(rule, AlertRule) else None,
        "active_at": iso(episode.active_at) if episode else None,
        "fires_at": iso(episode.active_at + span) if pending and episode else None,
        "fired_at": iso(episode.fired_at) if episode else None,
        "ended_at": iso(episode.ended_at) if episode else None,
        "held_since": iso(story.held_since),
        "held_for": story.held_for,
        "acknowledged_by": story.acknowledged.actor if story.acknowledged else None,
        "samples": [
            {"at": iso(p.at), "presence": p.presence, "value": p.value, "met": p.met, "cleared": p.cleared}
            for p in (one.points[-shown:] if shown else ())
        ],
        "decisions": [
            {"at": iso(s.at), "type": s.type, "value": s.value, "reason": s.reason or None} for s in story.steps
        ],
        "next": {"at": iso(story.next.at), "type": story.next.type} if story.next else None,
        "incident": told.incident and told.incident.model_dump(mode="json"),
        "deliveries": [sent.model_dump(mode="json", exclude={"position"}) for sent in told.deliveries],
        "suppressed": [
            {"at": iso(when), "channel": channel, "reason": reason} for when, channel, reason in told.suppressed
        ],
        "recommendations": [
            {"id": r.id, "rule": r.rule, "status": r.status.value, "title": r.proposal.title}
            for r in told.recommendations
        ],
        "no_advice": list(told.no_advice),
    }
