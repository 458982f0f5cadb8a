"""Recommendations handed over: what is written parses and runs as it was meant, and no hostile name slips in."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.export import FORMATS, NotExported, export, fitting
from controlplane.export.steps import steps
from controlplane.export.terraform import text
from controlplane.model.commands import command
from controlplane.model.recommendations import Recommendation, Status, total
from tests.advice_cases import PRICES
from tests.drafts import HOSTILE, recommendation

FAR = timedelta(days=36_500)


def made(kind: str, commands: tuple[str, ...], revert: tuple[str, ...] = (), **changes: Any) -> Recommendation:
    plain = recommendation("r" * 16)
    update = {"kind": kind, "commands": commands, "revert": revert, **changes}
    return plain.model_copy(
        update={"proposal": plain.proposal.model_copy(update=update), "expires_at": plain.expires_at + FAR}
    )


def kubectl(name: str = "billing", count: str = "16") -> str:
    return command(["kubectl", "scale", f"deployment/{name}", f"--replicas={count}"])


def group(name: str = "redis-asg", count: int = 44, zones: tuple[str, ...] = ("us-west-2a", "us-west-2b")) -> str:
    parts = ["aws", "autoscaling", "update-auto-scaling-group", f"--auto-scaling-group-name={name}"]
    return command([*parts, f"--desired-capacity={count}", "--availability-zones", *zones])


SCALE = made("scale_out", (kubectl(),), (kubectl(count="12"),))
SHARD = made(
    "shard",
    ("kafka-topics.sh --bootstrap-server=b:9092 --alter --topic=billing.events --partitions=16", kubectl()),
    (kubectl(count="12"), "# partitions can't be taken away"),
)
ZONE = made("failover", (group(),), (group(count=48, zones=("us-west-2a", "us-west-2b", "us-west-2c")),))
PRIMARY = made(
    "failover",
    ("patronictl list -- hybrid-pg", "patronictl failover --candidate=pg-2 -- hybrid-pg"),
    ("patronictl reinit -- hybrid-pg pg-1",),
)
GROW = made(
    "add_storage",
    (
        "aws ec2 describe-volumes --filters=Name=tag:Host,Values=redis-001 '--query=Volumes[].[VolumeId,Size]'",
        "aws ec2 modify-volume --volume-id=VOLUME_ID --size=250",
        "ssh -- redis-001 'sudo resize2fs /dev/xvdf'",
    ),
    ("# EBS volumes can't shrink",),
    target="volume redis-001:/data",
)
SSH = made("add_storage", ("ssh -- kafka-04 'sudo lvextend \"$(findmnt /data)\"'",), ("# can't shrink",))
PIPED = made(
    "rebalance", ("printf %s '{\"a\":1}' > topics.json", 'kafka-x.sh --broker-list="$BROKER_IDS" | tee plan.txt')
)
BY_HAND = made("rebalance", ("# make a flow local",), ("# put it back",))
LOOK = made("investigate", ("patronictl list -- hybrid-pg",))


@pytest.mark.parametrize(
    ("change", "formats"),
    [
        (SCALE, ("kubectl", "ansible")),
        (SHARD, ("kubectl", "ansible")),
        (ZONE, ("terraform", "aws-cli", "ansible")),
        (PRIMARY, ("patronictl", "ansible")),
        (GROW, ("terraform", "aws-cli", "ansible")),
        (SSH, ("ansible",)),
        (PIPED, ("ansible",)),
        (BY_HAND, ()),
        (LOOK, ()),
    ],
)
def test_formats_that_make_sense(change: Recommendation, formats: tuple[str, ...]) -> None:
    assert fitting(change) == formats
    for form in FORMATS:
        if form in formats:
            checked(export(change, form).text, form)
        else:
            with pytest.raises(NotExported) as refused:
                export(change, form)
            assert all(name in str(refused.value) for name in formats)


def checked(written: str, form: str) -> Any:
    """What was written, read by a parser of its language."""
    assert all(line.isprintable() for line in written.split("\n"))
    assert "recommendation rrrrrrrrrrrrrrrr, version" in written
    for word in ("# why: ", "# cost: ", "# expires: ", "# revert: "):
        assert sum(line.startswith(word) for line in written.splitlines()) == 1
    if form == "ansible":
        plays = yaml.safe_load(written)
        assert all({"name", "hosts", "tasks", "tags"} <= set(play) for play in plays)
        return plays
    if form == "terraform":
        return hcl2.loads(written)  # type: ignore[attr-defined]
    done = subprocess.run(["bash", "-n"], input=written, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return None


def run(tmp_path: Path, change: Recommendation, form: str, *arguments: str) -> tuple[int, list[list[str]]]:
    """Exit code of the script, and the arguments with which its programs were called."""
    file, log = tmp_path / "change.sh", tmp_path / "log"
    file.write_text(export(change, form).text)
    log.write_text("")
    for name in ("kubectl", "aws", "patronictl", "ssh", "kafka-topics.sh"):
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\nprintf "%s\\0" {name} "$@" >> "{log}"\nprintf "\\n" >> "{log}"\n')
        program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["bash", str(file), *arguments], env={"PATH": path}, capture_output=True, check=False)
    return done.returncode, [line.split("\0")[:-1] for line in log.read_text().splitlines()]


def test_a_script_applies_and_reverts(tmp_path: Path) -> None:
    code, called = run(tmp_path, SHARD, "kubectl", "apply")
    assert code == 0
    assert called == [
        ["kafka-topics.sh", "--bootstrap-server=b:9092", "--alter", "--topic=billing.events", "--partitions=16"],
        ["kubectl", "scale", "deployment/billing", "--replicas=16"],
    ]
    assert run(tmp_path, SHARD, "kubectl", "revert") == (
        0,
        [["kubectl", "scale", "deployment/billing", "--replicas=12"]],
    )
    assert run(tmp_path, SHARD, "kubectl") == (2, [])
    assert run(tmp_path, SHARD, "kubectl", "help") == (2, [])


def test_what_has_expired_is_not_applied_but_reverted(tmp_path: Path) -> None:
    late = SCALE.model_copy(update={"expires_at": SCALE.at})
    assert run(tmp_path, late, "kubectl", "apply") == (3, [])
    assert run(tmp_path, late, "kubectl", "revert")[0] == 0


def test_a_revert_by_hand_says_so(tmp_path: Path) -> None:
    code, called = run(tmp_path, GROW, "aws-cli", "revert")
    assert (code, called) == (4, [])


def test_a_script_stops_at_the_first_failure(tmp_path: Path) -> None:
    change = made("scale_out", ("false", kubectl()))
    assert run(tmp_path, change, "kubectl", "apply") == (1, [])


def test_terraform_says_what_changes_and_what_was() -> None:
    written = export(ZONE, "terraform")
    (resource,) = checked(written.text, "terraform")["resource"]
    ((kind, labelled),) = resource.items()
    ((label, arguments),) = labelled.items()
    assert (kind.strip('"'), label.strip('"')) == ("aws_autoscaling_group", "redis-asg")
    assert arguments["desired_capacity"] == 44
    assert [zone.strip('"') for zone in arguments["availability_zones"]] == ["us-west-2a", "us-west-2b"]
    assert "# desired_capacity   = 48" in written.text
    assert written.name == "recommendation_rrrrrrrrrrrrrrrr_override.tf"
    grown = export(GROW, "terraform").text
    assert "  size = 250" in grown
    assert "# then, outside Terraform: ssh -- redis-001" in grown


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30))
def test_strings_of_hcl_are_no_templates(value: str) -> None:
    quoted = text(value)
    assert "${" not in quoted.replace("$${", "")
    assert "%{" not in quoted.replace("%%{", "")
    assert "\n" not in quoted


def test_ansible_runs_over_ssh_and_without_questions() -> None:
    (play, revert) = checked(export(SSH, "ansible").text, "ansible")
    assert (play["hosts"], play["tasks"][0]["ansible.builtin.shell"]["cmd"]) == (
        "kafka-04",
        'sudo lvextend "$(findmnt /data)"',
    )
    assert revert["tags"] == ["never", "revert"]
    (play, revert) = checked(export(PRIMARY, "ansible").text, "ansible")
    assert [task["ansible.builtin.command"]["argv"] for task in play["tasks"]] == [
        ["patronictl", "list", "--", "hybrid-pg"],
        ["patronictl", "failover", "--force", "--candidate=pg-2", "--", "hybrid-pg"],
    ]
    assert revert["tasks"][0]["ansible.builtin.command"]["argv"][:3] == ["patronictl", "reinit", "--force"]
    (play,) = checked(export(PIPED, "ansible").text, "ansible")
    assert [list(task)[1] for task in play["tasks"]] == ["ansible.builtin.shell"] * 2
    plays = checked(export(GROW, "ansible").text, "ansible")
    assert [play["hosts"] for play in plays] == ["localhost", "redis-001", "localhost"]


NAMES = [
    *(name for name in HOSTILE if "\ud800" not in name),  # labels are valid UTF-8 when they get as far as a command
    "-rf",
    "--kubeconfig=/tmp/x",
    "a\nb",
    "a\x1b[2J",
    "a\u202eb",
    "\0",
    "$(reboot)",
    "`reboot`",
    "a;reboot",
    "a b",
    "a'b",
    'a"b',
    "${x}",
    "{{ lookup('pipe', 'reboot') }}",
    "UPPER",
    "a/b/c",
    "ä",
    "x" * 300,
    "",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("form", ["kubectl", "ansible"])
def test_names_that_kubernetes_does_not_take_are_refused(name: str, form: str) -> None:
    with pytest.raises(NotExported) as refused:
        export(made("scale_out", (kubectl(name),)), form)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"a b", "UPPER", "a/b/c"}], ids=repr)
def test_names_that_aws_does_not_take_are_refused(name: str) -> None:
    for form in ("terraform", "aws-cli"):
        with pytest.raises(NotExported):
            export(made("failover", (group(name),)), form)
    if not name.startswith("--"):  # no template fills such a zone in: it would be an option
        with pytest.raises(NotExported):
            export(made("failover", (group(zones=(name,)),)), "aws-cli")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "UPPER"], ids=repr)
def test_names_that_patroni_and_ssh_do_not_take_are_refused(name: str) -> None:
    lines = (
        ["patronictl", "failover", f"--candidate={name}", "--", "pg"],
        ["patronictl", "failover", "--candidate=pg-2", "--", name],
        ["ssh", "--", name, "df"],
    )
    for line in lines:
        with pytest.raises(NotExported):
            export(made("failover", (command(line),)), "ansible")
    with pytest.raises(NotExported):
        export(made("failover", ("patronictl list -- pg",), (command(lines[0]),)), "patronictl")


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(NAMES))
def test_whatever_is_handed_over_is_read_as_it_was_meant(name: str) -> None:
    argv = ["kubectl", "scale", f"deployment/{name}", "--replicas=3"]
    try:
        written = export(made("scale_out", (command(argv),)), "ansible").text
    except NotExported:
        return
    (play,) = yaml.safe_load(written)
    assert play["tasks"][0]["ansible.builtin.command"]["argv"] == argv


@pytest.mark.parametrize("line", ["'unclosed", "", "   ", "-x", "$(reboot)", "| sh", "kubectl\nreboot", "\x1b[2J"])
def test_lines_that_are_no_command(line: str) -> None:
    if line.strip():
        with pytest.raises(NotExported):
            steps([line])
    else:
        assert steps([line]) == ()


@pytest.mark.parametrize("told", [*HOSTILE, "a\nreboot\n", "*/ reboot", "\\", "\u2028reboot", "a\r\nb"])
@pytest.mark.parametrize(("change", "form"), [(SCALE, "kubectl"), (ZONE, "terraform"), (PRIMARY, "ansible")])
def test_no_text_gets_out_of_its_comment(change: Recommendation, form: str, told: str) -> None:
    texts = {"title": told, "why": told, "from_": told, "to": told}
    proposal = change.proposal.model_copy(update={**texts, "target": f"volume {told}"})
    hostile = change.model_copy(update={"proposal": proposal, "rule": told, "alert": told, "platform": told})
    written, plain = export(hostile, form).text, export(change, form).text
    checked(written, form)

    def code(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.lstrip().startswith(("#", "- name:"))]

    assert code(written) == code(plain)


def test_templates_of_ansible_are_refused() -> None:
    change = made("rebalance", ("printf '{{ x }}' | tee a",))
    with pytest.raises(NotExported, match="for a template"):
        export(change, "ansible")
    titled = made("scale_out", (kubectl(),), title="{{ lookup('pipe', 'reboot') }}")
    assert "{{" not in str(yaml.safe_load(export(titled, "ansible").text))


def test_the_header_tells_the_money() -> None:
    cost = total((PRICES.line("node", 4), PRICES.line("secret", 1, item="Racks")), "it gets worse")
    head = export(made("scale_out", (kubectl(),), cost=cost), "kubectl").text
    assert "# cost: at least $5,886.72 a month on demand, at least $2,943.36 with reservations, unknown once" in head
    assert "; unknown: Racks" in head
    closed = SCALE.model_copy(update={"status": Status.WITHDRAWN})
    assert "# CLOSED: this recommendation is withdrawn." in export(closed, "kubectl").text
