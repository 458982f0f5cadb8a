"""Recommendations handed over: what is written parses and runs as it was meant, and no hostile name slips in."""

import os
import re
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
from controlplane.model.recommendations import PlanStep, Recommendation, Status, total
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
        return hcl2.loads(written)
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


def plays_of(change: Recommendation) -> list[dict[str, Any]]:
    """The plays behind the one that looks at the time."""
    plays: list[dict[str, Any]]
    expiry, *plays = checked(export(change, "ansible").text, "ansible")
    assert list(expiry["tasks"][0]) == ["name", "ansible.builtin.fail", "when"]
    return plays


def modules(play: dict[str, Any]) -> list[str]:
    return [list(task)[1].removeprefix("ansible.builtin.") for task in play["tasks"]]


@pytest.mark.parametrize("host", ["kafka-04", "root@kafka-1"])
def test_ansible_runs_ssh_itself(host: str) -> None:
    remote = 'sudo lvextend "$(findmnt /data)"'
    change = made("add_storage", (command(["ssh", "--", host, remote]),), ("# can't shrink",))
    (play, revert) = plays_of(change)
    assert (play["hosts"], play["connection"]) == ("localhost", "local"), "a host that no inventory has is skipped"
    told = {"argv": ["ssh", "--", host, remote], "expand_argument_vars": False}
    assert play["tasks"][0]["ansible.builtin.command"] == told
    assert (revert["tags"], modules(revert)) == (["never", "revert"], ["debug"])


def test_ansible_runs_without_questions_of_commands() -> None:
    (play, revert) = plays_of(PRIMARY)
    assert [task["ansible.builtin.command"] for task in play["tasks"]] == [
        {"argv": ["patronictl", "list", "--", "hybrid-pg"]},
        {"argv": ["patronictl", "failover", "--force", "--candidate=pg-2", "--", "hybrid-pg"]},
    ]
    assert revert["tasks"][0]["ansible.builtin.command"]["argv"][:3] == ["patronictl", "reinit", "--force"]


@pytest.mark.parametrize(
    ("line", "code"), [("false | cat", 1), ('echo "$NOBODY_SET_IT" | cat', 1), ("echo a | cat", 0)]
)
def test_a_pipe_of_a_playbook_fails_with_its_first_part(line: str, code: int) -> None:
    (play,) = plays_of(made("rebalance", (line,)))
    shell = play["tasks"][0]["ansible.builtin.shell"]
    assert shell["executable"] == "/bin/bash"
    assert subprocess.run(["bash", "-c", shell["cmd"]], capture_output=True, check=False).returncode == code


@pytest.mark.parametrize(("seconds", "ends"), [(-1, True), (0, True), (1, False)])
def test_a_playbook_of_expired_advice_ends_before_its_first_step(seconds: int, ends: bool) -> None:
    plays = checked(export(SSH, "ansible").text, "ansible")
    assert {play["hosts"] for play in plays} == {"localhost"}, "what fails on the only host ends the playbook"
    assert [play["tags"] for play in plays] == [["apply"], ["apply"], ["never", "revert"]]
    (task,) = plays[0]["tasks"]
    assert "has expired" in task["ansible.builtin.fail"]["msg"]
    when = re.fullmatch(r"now\(utc=true, fmt='(.+)'\) >= '(.+)'", task["when"])
    assert when is not None
    form, limit = when.groups()
    assert ((SSH.expires_at - timedelta(seconds=seconds)).strftime(form) >= limit) == ends


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("# empty the data directory", "etcdctl member add a"), ["pause", "assert", "command"]),
        (("etcdctl member add a", "# stop it"), ["command", "debug"]),
        (("etcdctl member add a", "# empty b", "etcdctl member add b"), ["command", "pause", "assert", "command"]),
    ],
)
def test_work_by_hand_before_a_command_is_asked_for(lines: tuple[str, ...], expected: list[str]) -> None:
    for change in (made("scale_in", lines), made("scale_in", ("etcdctl member list",), lines)):
        assert modules(plays_of(change)[-1]) == expected
    stands = planned(("by hand", (), ("# do it",)), ("go", (), (kubectl(),)), ("watch", (), ("# look",)))
    assert [modules(play) for play in plays_of(stands)] == [["pause", "assert"], ["command"], ["debug"]]


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
    (_, play) = yaml.safe_load(written)
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


# a plan: steps in order, and what has to be true before each

REFRESH = (
    "aws ec2 create-launch-template-version --launch-template-name=redis '--source-version=$Latest' "
    """'--launch-template-data={"InstanceType":"r6i.2xlarge"}'""",
    command(["aws", "autoscaling", "start-instance-refresh", "--auto-scaling-group-name=redis"]),
)


def planned(*told: tuple[str, tuple[str, ...], tuple[str, ...]], revert: tuple[str, ...] = ()) -> Recommendation:
    plan = tuple(PlanStep(do=do, before=before, commands=commands) for do, before, commands in told)
    commands = tuple(line for step in plan for line in step.commands)
    return made("resize", commands, revert, plan=plan, target="group redis")


RESIZE = planned(
    ("look again", ("nothing fires", "the peak is below 20 %"), ()),
    ("change the size", ("all serve",), REFRESH),
    ("watch a day", (), ()),
    revert=(REFRESH[0].replace("2xlarge", "4xlarge"), REFRESH[1]),
)


def answered(tmp_path: Path, change: Recommendation, form: str, given: str, *arguments: str) -> tuple[int, int, str]:
    """Exit code of the script with these answers, how many programs it called, and what it said."""
    file, log = tmp_path / "change.sh", tmp_path / "log"
    file.write_text(export(change, form).text)
    log.write_text("")
    for name in ("kubectl", "aws", "reboot", "id"):
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\necho {name} >> "{log}"\n')
        program.chmod(0o755)
    done = subprocess.run(
        ["bash", str(file), *arguments],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        input=given,
        text=True,
        capture_output=True,
        check=False,
    )
    return done.returncode, len(log.read_text().splitlines()), done.stderr


@pytest.mark.parametrize(
    ("given", "arguments", "code", "calls"),
    [
        ("y\ny\n", ("apply",), 0, 2),
        ("y\nn\n", ("apply",), 5, 0),
        ("y\n", ("apply",), 5, 0),
        ("", ("apply",), 5, 0),
        ("Y\ny\n", ("apply",), 5, 0),
        ("", ("apply", "--yes"), 0, 2),
        ("", ("apply", "--y"), 5, 0),
        ("", ("revert",), 0, 2),
    ],
)
def test_a_script_asks_before_each_step(
    tmp_path: Path, given: str, arguments: tuple[str, ...], code: int, calls: int
) -> None:
    checked(export(RESIZE, "aws-cli").text, "aws-cli")
    found, called, said = answered(tmp_path, RESIZE, "aws-cli", given, *arguments)
    assert (found, called) == (code, calls)
    if arguments[0] == "apply":
        assert "step 1 of 3: look again\n  before: nothing fires\n  before: the peak is below 20 %\n" in said
    assert ("step 3 of 3: watch a day" in said) == (calls == 2 and arguments[0] == "apply")


@pytest.mark.parametrize(
    ("lines", "given", "code", "calls"),
    [
        (("# empty the data directory", kubectl()), "y\n", 0, 1),
        (("# empty the data directory", kubectl()), "n\n", 5, 0),
        ((kubectl(), "# empty the data directory", kubectl()), "", 5, 1),
        ((kubectl(), "# empty the data directory"), "", 0, 1),
    ],
)
def test_a_script_asks_for_work_by_hand_before_a_command(
    tmp_path: Path, lines: tuple[str, ...], given: str, code: int, calls: int
) -> None:
    for change, action in ((made("scale_in", lines), "apply"), (made("scale_in", (kubectl(),), lines), "revert")):
        found, called, said = answered(tmp_path, change, "kubectl", given, action)
        assert (found, called) == (code, calls)
        assert ("By hand: empty the data directory\n  before: it is done" in said) == (lines[-1] == kubectl())
        if code == 5:
            assert answered(tmp_path, change, "kubectl", "", action, "--yes")[0] == 0


def test_a_script_asks_for_a_step_without_commands_before_the_next_one(tmp_path: Path) -> None:
    change = planned(("fence pg-1", (), ()), ("scale", (), (kubectl(),)), ("look", (), ()))
    assert answered(tmp_path, change, "kubectl", "", "apply")[:2] == (5, 0)
    code, called, said = answered(tmp_path, change, "kubectl", "y\n", "apply")
    assert (code, called) == (0, 1)
    assert said.startswith("step 1 of 3: fence pg-1\n  before: it is done\n")
    assert said.endswith("step 3 of 3: look\n")


def test_a_plan_without_conditions_asks_nothing(tmp_path: Path) -> None:
    change = planned(("scale", (), (kubectl(),)))
    assert "before()" not in export(change, "kubectl").text
    assert answered(tmp_path, change, "kubectl", "", "apply")[:2] == (0, 1)


@pytest.mark.parametrize(
    "told", [*HOSTILE, "a\nreboot\n", "$(reboot)", "`id`", "'; reboot; '", "%s%n", "\\", "!!", "-n"]
)
def test_texts_of_a_plan_are_told_and_never_run(tmp_path: Path, told: str) -> None:
    change = planned((told, (told, "x"), (kubectl(),)))
    for form in ("kubectl", "ansible"):
        checked(export(change, form).text, form)
    code, called, said = answered(tmp_path, change, "kubectl", "", "apply", "--yes")
    assert (code, called) == (0, 1)
    assert "  before: x\n" in said
    (play,) = plays_of(change)
    assert "{{" not in str(play)
    assert modules(play) == ["pause", "assert", "command"]
    assert play["tasks"][2]["ansible.builtin.command"]["argv"][0] == "kubectl"
    written = export(planned((told, (told,), REFRESH)), "terraform").text
    code_lines = [line for line in written.splitlines() if line and not line.startswith("#")]
    assert code_lines == [
        'resource "aws_launch_template" "redis" {',
        '  instance_type = "r6i.2xlarge"',
        "}",
    ]


no_odd_spaces = st.characters(exclude_categories=["Zs"]) | st.just(" ")


@settings(max_examples=30, deadline=None)
@given(st.text(no_odd_spaces, max_size=40), st.text(no_odd_spaces, max_size=40))
def test_any_text_of_a_plan_leaves_a_script_that_parses(do: str, before: str) -> None:
    change = planned((do, (before,), (kubectl(),)))
    checked(export(change, "kubectl").text, "kubectl")
    checked(export(change, "ansible").text, "ansible")


@given(st.text(st.characters(exclude_characters="\0"), max_size=30))
def test_a_hostile_name_in_a_step_is_refused(name: str) -> None:
    change = planned(("go", (), (f"kubectl scale deployment/{name} --replicas=3",)))
    try:
        exported = export(change, "kubectl").text
    except NotExported:
        return
    assert f"  kubectl scale deployment/{name.strip() if name.strip() == name else name} --replicas=3" in exported


@pytest.mark.parametrize("limit", ["@/etc/hosts", "a:!b", "all,reboot", "*"])
def test_a_pattern_of_ansible_is_no_name(limit: str) -> None:
    change = made("scale_out", (command(["ansible-playbook", "site.yml", f"--limit={limit}"]),))
    with pytest.raises(NotExported, match="is no limit that ansible-playbook takes"):
        export(change, "ansible")


@pytest.mark.parametrize("name", ["x;reboot", "$(reboot)", "a b", "\u202ex", "X" * 300, "a\nb", "é"])
def test_names_that_no_tool_takes_are_refused_in_a_plan(name: str) -> None:
    change = planned(("go", ("ready",), (command(["kubectl", "delete", name]),)))
    for form in FORMATS:
        with pytest.raises(NotExported):
            export(change, form)


def test_terraform_changes_the_template_and_tells_the_rest() -> None:
    written = export(RESIZE, "terraform").text
    (resource,) = checked(written, "terraform")["resource"]
    ((kind, labelled),) = resource.items()
    assert kind.strip('"') == "aws_launch_template"
    assert next(iter(labelled.values()))["instance_type"].strip('"') == "r6i.2xlarge"
    assert '# revert:\n  # instance_type = "r6i.4xlarge"' in written
    assert "# step 1 of 3: look again\n#   before: nothing fires" in written
    assert "# then, outside Terraform: aws autoscaling start-instance-refresh" in written


def test_ansible_asks_before_each_step() -> None:
    plays = plays_of(RESIZE)
    assert [modules(play) for play in plays] == [
        ["pause", "assert"],
        ["pause", "assert", "command", "command"],
        ["debug"],
        ["command", "command"],
    ]
    asked, answered = plays[0]["tasks"]
    assert asked["when"] == answered["when"] == "confirmed is not defined"
    assert "- the peak is below 20 %" in asked["ansible.builtin.pause"]["prompt"]
    # an empty answer is also that of a pipeline, where nobody can give one
    assert answered["ansible.builtin.assert"]["that"] == f"{asked['register']}.user_input == 'y'"
    assert [play["tags"] for play in plays] == [["apply"]] * 3 + [["never", "revert"]]


def test_dollars_of_arguments_are_no_variables_of_ansible() -> None:
    told = [task["ansible.builtin.command"] for task in plays_of(RESIZE)[1]["tasks"][2:]]
    assert "--source-version=$Latest" in told[0]["argv"]
    assert [one.get("expand_argument_vars") for one in told] == [False, None]


@pytest.mark.parametrize(
    ("change", "form", "why"),
    [
        (SCALE, "terraform", "no resource of Terraform stands for `kubectl scale"),
        (SCALE, "aws-cli", "it is done with kubectl; kubectl and ansible can"),
        (RESIZE, "patronictl", "it is done with aws; terraform and aws-cli and ansible can"),
        (planned(("go", (), ("openstack server resize --flavor=c8-m64 --wait -- sms",))), "kubectl", "with openstack"),
        (planned(("by hand", ("ready",), ("# change it",))), "ansible", "is work by hand"),
        (LOOK, "ansible", "changes nothing"),
    ],
)
def test_what_a_format_cant_say_is_said(change: Recommendation, form: str, why: str) -> None:
    with pytest.raises(NotExported, match=why.replace("(", r"\(")):
        export(change, form)


def test_a_group_set_to_a_size_is_a_resource() -> None:
    line = "aws autoscaling set-desired-capacity --auto-scaling-group-name=redis --desired-capacity=53"
    (resource,) = checked(export(made("scale_out", (line,)), "terraform").text, "terraform")["resource"]
    assert next(iter(next(iter(resource.values())).values()))["desired_capacity"] == 53
