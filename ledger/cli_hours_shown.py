"""How members, records, policies and certificates look on a terminal.

Owns: columns and the Chinese words beside the English ones. Refuses: asking the server.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo

from rich.table import Table
from rich.text import Text

from ledger.cli_shown import amount_text
from timebank.client.drafts import PersonalData
from timebank.client.hours_views import CertificateView, MemberView, PolicyView, RecordView
from timebank.client.views import Balance
from timebank.units import Unit

STATE_WORDS = {
    "ACTIVE": "正常",
    "SUSPENDED": "暂停",
    "MERGED": "已合并",
    "EXPORTED": "已迁出",
    "DECEASED": "已身故",
    "CLAIMED": "待核实",
    "VERIFIED": "已核实",
    "PUBLICISED": "公示中",
    "POSTED": "已入账",
    "CORRECTED": "已更正",
    "VOIDED": "已作废",
    "DISPUTED": "有异议",
    "ISSUED": "有效",
    "FLAGGED": "所列记录已更正",
    "REVOKED": "已撤销",
    "PENDING": "待抽查",
    "PASSED": "抽查通过",
    "NONE": "无",
}
EVIDENCE_WORDS = {"A": "签到签退", "B": "对象确认", "C": "补录", "D": "外部导入", "E": "无法核实"}
YES, NO = "yes 是", "no 否"
NOTHING = "-"


def state_text(state: str) -> str:
    """Gives a state with its Chinese word."""
    return f"{state} {STATE_WORDS[state]}" if state in STATE_WORDS else state


def evidence_text(evidence: str) -> str:
    """Gives a class of evidence with its Chinese word."""
    return f"{evidence} {EVIDENCE_WORDS[evidence]}" if evidence in EVIDENCE_WORDS else evidence


def id_of(name: str | None) -> str:
    """Gives the last part of a resource name; `-` where there is none."""
    return name.rpartition("/")[2] if name else NOTHING


def time_text(time: datetime | None, zone: tzinfo) -> str:
    """Writes a time to the minute in a zone."""
    return NOTHING if time is None else f"{time.astimezone(zone):%Y-%m-%d %H:%M}"


def day_text(time: datetime | None, zone: tzinfo) -> str:
    """Writes the day of a time in a zone."""
    return NOTHING if time is None else f"{time.astimezone(zone):%Y-%m-%d}"


def facts_table(title: str, facts: Iterable[tuple[str, str]]) -> Table:
    """Shows one thing: what it says of itself, line by line."""
    table = Table(title=Text(title), title_justify="left", show_header=False)
    table.add_column("What 项目", no_wrap=True)
    table.add_column("Value 内容", overflow="fold")
    for label, value in facts:
        table.add_row(label, Text(value))
    return table


def members_table(members: Iterable[MemberView], zone: tzinfo, title: str) -> Table:
    """Shows members."""
    table = Table(title=Text(title), title_justify="left")
    for heading in (
        "Member 志愿者",
        "State 状态",
        "Unit 所属",
        "Officer 干部",
        "Guardian 监护人",
        "Of age 成年",
        "Key elder 重点老人",
    ):
        table.add_column(heading, overflow="fold")
    for member in members:
        table.add_row(
            Text(member.id),
            state_text(member.state),
            Text(member.home_unit or NOTHING),
            Text(member.officer or NOTHING),
            Text(id_of(member.guardian)),
            day_text(member.adult_time, zone),
            YES if member.key_elder else NO,
        )
    return table


def member_table(member: MemberView, balances: Iterable[Balance], zone: tzinfo) -> Table:
    """Shows one member with the balances of its accounts."""
    facts = [
        ("State 状态", state_text(member.state)),
        ("Unit 所属", member.home_unit or NOTHING),
        ("Officer 干部", member.officer or NOTHING),
        ("Guardian 监护人", id_of(member.guardian)),
        ("Guardian consents 监护人同意", YES if member.guardian_consent else NO),
        ("Of age from 成年日期", day_text(member.adult_time, zone)),
        ("Name may be published 可公示姓名", YES if member.publish_name else NO),
        ("Key elder 重点老人", YES if member.key_elder else NO),
        ("Merged into 合并至", id_of(member.merged_into)),
    ]
    for balance in balances:
        amount = amount_text(balance.posted, balance.unit)
        label = f"{balance.unit.name} {balance.unit.name_zh}"
        facts.append((label, f"{amount}   {id_of(balance.account)}"))
    return facts_table(f"Member 志愿者 {member.id}", facts)


def person_table(member: str, person: PersonalData) -> Table:
    """Shows personal data."""
    facts = [
        ("Name 姓名", person.display_name),
        ("Document 证件类型", person.id_type or NOTHING),
        ("Number 证件号码", person.id_number or NOTHING),
        ("Telephone 电话", person.phone or NOTHING),
        ("National number 全国编号", person.national_number or NOTHING),
    ]
    return facts_table(f"Personal data 个人信息 of {id_of(member)}", facts)


def records_table(records: Iterable[RecordView], zone: tzinfo, title: str) -> Table:
    """Shows records; times in `zone`."""
    table = Table(title=Text(title), title_justify="left")
    for heading in ("Record 记录", "Volunteer 志愿者", "Activity 活动"):
        table.add_column(heading, overflow="fold")
    table.add_column("Start 开始", no_wrap=True)
    table.add_column("Evidence 证据")
    table.add_column("State 状态")
    for heading in ("HOURS\n服务时长", "TIME\n时间币", "POINTS\n积分"):
        table.add_column(heading, justify="right", no_wrap=True)
    for record in records:
        day = day_text(record.start_time, zone)
        alarm = " !" if record.alarm else ""
        table.add_row(
            Text(record.id),
            Text(id_of(record.volunteer)),
            Text(record.activity),
            day if record.date_only else time_text(record.start_time, zone),
            evidence_text(record.evidence),
            f"{state_text(record.state)}{alarm}",
            amount_text(record.hours_minutes, Unit.HOURS),
            amount_text(record.time_minutes, Unit.TIME),
            amount_text(record.points, Unit.POINTS),
        )
    return table


def record_table(record: RecordView, zone: tzinfo) -> Table:
    """Shows one record, whole."""
    start, end = time_text(record.start_time, zone), time_text(record.end_time, zone)
    if record.date_only:
        start = end = day_text(record.start_time, zone)
    alarm = ", alarm 补录预警" if record.alarm else ""
    facts = [
        ("State 状态", f"{state_text(record.state)}{alarm}"),
        ("Volunteer 志愿者", id_of(record.volunteer)),
        ("Beneficiary 服务对象", id_of(record.beneficiary)),
        ("Activity 活动", record.activity),
        ("Place 地点", record.place or NOTHING),
        ("Content 内容", record.content or NOTHING),
        ("Organizer 组织者", record.organizer),
        ("Recorder 记录人", record.recorder or NOTHING),
        ("Verifiers 核实人", ", ".join(record.verifiers) or NOTHING),
        ("From 开始", start),
        ("To 结束", f"{end}{' closed automatically 自动签退' if record.auto_closed else ''}"),
        ("Minutes 分钟", f"{record.minutes:,}"),
        ("Evidence 证据", evidence_text(record.evidence)),
        ("Spot check 抽查", state_text(record.spot_check)),
        ("Publicity until 公示至", time_text(record.publicity_end_time, zone)),
        ("HOURS 服务时长", amount_text(record.hours_minutes, Unit.HOURS)),
        ("TIME 时间币", amount_text(record.time_minutes, Unit.TIME)),
        ("To the pool 入时间池", amount_text(record.pool_minutes, Unit.TIME)),
        ("POINTS 积分", f"{record.points:,}"),
        ("POINTS pending 待公示积分", f"{record.pending_points:,}"),
        ("Policy 政策", ", ".join(record.policy_versions) or NOTHING),
        ("Corrects 更正", id_of(record.supersedes)),
        ("Replaced by 已更正为", id_of(record.superseded_by)),
        ("Same time as 时间重复", id_of(record.duplicate_of)),
        ("External ids 外部编号", ", ".join(record.external_ids) or NOTHING),
        ("Entry 日志", id_of(record.entry)),
    ]
    return facts_table(f"Record 记录 {record.id}", facts)


def policies_table(policies: Iterable[PolicyView], zone: tzinfo, title: str) -> Table:
    """Shows versions of the policy."""
    table = Table(title=Text(title), title_justify="left")
    for heading in ("Version 版本", "From 生效", "Until 失效", "Replay 追溯"):
        table.add_column(heading, overflow="fold")
    for policy in policies:
        table.add_row(
            Text(policy.version),
            day_text(policy.effective_time, zone),
            day_text(policy.end_time, zone),
            YES if policy.replays else NO,
        )
    return table


def certificates_table(certificates: Iterable[CertificateView], zone: tzinfo, title: str) -> Table:
    """Shows certificates."""
    table = Table(title=Text(title), title_justify="left")
    for heading in ("Number 编号", "Member 志愿者", "State 状态", "Issued 开具"):
        table.add_column(heading, overflow="fold")
    table.add_column("HOURS 服务时长", justify="right")
    for certificate in certificates:
        table.add_row(
            Text(certificate.number),
            Text(id_of(certificate.member)),
            state_text(certificate.state),
            time_text(certificate.issue_time, zone),
            amount_text(certificate.total_minutes, Unit.HOURS),
        )
    return table
