"""Accounts, what is at a provider, what it costs: by `doit`."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from typing import Any

import pytest

from motools_build.backends.accounts import Accounts
from motools_build.errors import AccountError, BackendError
from tests.conformance.upstream import upstream
from tests.lab import EVAL, KEY, MODEL, TASK, UPLOAD, Lab
from tests.rehearsal.server import BASE

ONE, TWO = f"{MODEL}0", f"{MODEL}1"


def keys(lab: Lab, *args: str) -> dict[str, str]:
    """Stage -> key, of a plan."""
    out = lab.doit("plan", "tutor", "--json", *args).out
    return {intent["stage"]: intent["key"] for intent in json.loads(out)}


def seen(lab: Lab, code: int, **environ: str) -> dict[str, str]:
    """`doit verify --remote`: each thing that is named, and how it is."""
    out = lab.doit("verify", "--remote", "--json", code=code, **environ).out
    found: list[dict[str, Any]] = json.loads(out)["remote"]
    return {f"{one['what']} of {one['stage']}": one["health"] for one in found}


class TestAccounts:
    def test_one_that_is_named(self, lab: Lab) -> None:
        lab.account("lab", key_variable="LAB_KEY")
        lab.setting(seeds="[0]")
        secret = "sk-of-the-lab-never-to-be-seen"
        lab.project.write(".env", f"LAB_KEY={secret}\n")
        ran = lab.run(
            "account=lab", OPENAI_API_KEY="", OPENAI_BASE_URL="http://[::1]:9"
        )
        assert f"by account lab ({lab.server.url})" in ran.out
        assert lab.project.records("model")[ONE]["details"]["account"] == "lab"
        assert lab.jobs()[0]["account"] == "lab"
        files = [p for p in lab.project.root.rglob("*") if p.is_file()]
        shown = [p.name for p in files if secret.encode() in p.read_bytes()]
        assert shown == [".env"]

    def test_it_is_in_no_key_but_for_the_scope_of_an_upload(self, lab: Lab) -> None:
        lab.account("twin")
        lab.account("other", organization="another")
        lab.setting()
        plain = keys(lab)
        assert keys(lab, "account=twin") == plain
        other = keys(lab, "account=other")
        assert {n for n in plain if other[n] != plain[n]} == {UPLOAD}

    def test_what_enters_keys_of_a_server(self, lab: Lab) -> None:
        lab.setting()
        lab.account("gateway", identity="openai")
        lab.account("elsewhere", base_url="http://127.0.0.1:9/v1")
        lab.account("real", base_url="https://api.openai.com/v1")
        gateway = keys(lab, "account=gateway")
        assert gateway == keys(lab, "account=real")
        elsewhere, here = keys(lab, "account=elsewhere"), keys(lab)
        for stage in (ONE, TWO, UPLOAD):
            assert len({gateway[stage], elsewhere[stage], here[stage]}) == 3
        assert lab.counts() == {}

    def test_a_path_that_earlier_keys_left_out(self, lab: Lab) -> None:
        """What was made without it is not made again before somebody has said so."""
        lab.setting(account="'lab'", evals="[]")
        lab.account()
        lab.run()
        file = lab.project.root / "pyproject.toml"
        text = file.read_text()
        path = lab.server.url.replace("/v1", "/team/v1")
        file.write_text(text.replace(lab.server.url, path))
        refused = lab.doit("plan", "tutor", code=3).err
        _, kept, begun = re.findall(r'openai@127[^ "]+', refused)
        assert begun == f"{kept}-team"
        for identity, there in ((kept, True), (begun, False)):
            file.write_text(f'{file.read_text()}identity = "{identity}"\n')
            actions = {told["action"] for told in lab.plan().values()}
            assert ("up to date" in actions) == there
            file.write_text(text.replace(lab.server.url, path))
        for folder in ("model", "upload"):
            shutil.rmtree(lab.project.root / "artifacts" / folder)
        assert lab.doit("plan", "tutor", code=3).err == refused, "by the ledger"

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ('key_varible = "X"', "did you mean 'key_variable'?"),
            (
                'key_variable = "sk-pasted-by-mistake"',
                "is the *name* of an environment",
            ),
            (
                'key_variable = "gsk-pasted-by-mistake"',
                "is the *name* of an environment",
            ),
            ('api_key = "sk-pasted-by-mistake"', "has no 'api_key'"),
            ('base_url = "sk-pasted-by-mistake"', "is not a URL"),
            ('base_url = "https://me:sk-pasted-by-mistake@host"', "holds a password"),
            ("concurrent_jobs = 0", "concurrent_jobs is 1 or more, not 0"),
            ("organization = 5", "organization is a text, not 5"),
            ("provider = 5", "provider is a text, not 5"),
            ('provider = "dummy"', "the dummy backend works on this machine"),
            ('shop = "x"', "has no 'shop'"),
            ('identity = "elsewhere"', "identity is `openai`, or `openai@`"),
        ],
    )
    def test_a_wrong_declaration(self, fields: str, said: str) -> None:
        with pytest.raises(AccountError) as error:
            Accounts({"lab": tomllib.loads(fields)}, {})
        assert said in str(error.value)
        assert "tool.motools_build.accounts.lab" in str(error.value)
        assert "pasted" not in str(error.value)

    @pytest.mark.parametrize(
        ("url", "identity"),
        [
            ("https://api.openai.com/v1", "openai"),
            ("https://api.openai.com/v1/", "openai"),
            ("http://127.0.0.1:8080/v1", "openai@127.0.0.1:8080"),
            ("http://127.0.0.1:8080", "openai@127.0.0.1:8080"),
            ("https://gateway.example/v1", "openai@gateway.example:443"),
            ("https://gateway.example/team-a/v1", "openai@gateway.example:443-team-a"),
            ("https://gateway.example/a/b", "openai@gateway.example:443-a-b-354b81d0"),
        ],
    )
    def test_what_stands_for_a_service_in_keys(self, url: str, identity: str) -> None:
        assert Accounts({"lab": {"base_url": url}}, {})["lab"].identity == identity
        assert Accounts({}, {"OPENAI_BASE_URL": url})["default"].identity == identity

    def test_services_on_one_host_share_no_key(self) -> None:
        paths = ("a/b", "a-b", "a/b-", "A/b", "a/v1/b", "a%2Fb", "v1/v1", "é")
        section = {
            name: {"base_url": f"https://host/{path}/v1"}
            for name, path in zip("abcdefgh", paths, strict=True)
        }
        accounts = Accounts(section, {})
        identities = {accounts[name].identity for name in section}
        assert len(identities) == len(paths)
        assert all(re.fullmatch(r"openai@[\w.:-]+", one) for one in identities)

    def test_two_services_and_what_an_earlier_version_made(self) -> None:
        """Its keys left the path of the URL out; nothing of them is paid for again."""
        section = {
            "lab": {"base_url": "https://host/a/v1"},
            "kept": {"base_url": "https://host/a/v1", "identity": "openai@host:443"},
            "new": {"base_url": "https://host/b/v1", "identity": "openai@host:443-b"},
            "plain": {"base_url": "https://host/v1"},
        }
        accounts = Accounts(section, {}, lambda identity: identity == "openai@host:443")
        with pytest.raises(AccountError) as error:
            accounts["lab"]
        for line in ('identity = "openai@host:443"', 'identity = "openai@host:443-a"'):
            assert line in str(error.value)
        for name in ("kept", "new", "plain"):
            assert accounts[name].name == name
        assert Accounts(section, {})["lab"].identity == "openai@host:443-a"

    def test_who_pays_a_provider(self) -> None:
        accounts = Accounts({"lab": {}, "twin": {}}, {})
        assert accounts.of_provider("openai", ["lab"]).name == "lab"
        assert accounts.of_provider("openai", ["default"]).name == "default"
        with pytest.raises(AccountError, match="lab and twin are both of openai"):
            accounts.of_provider("openai", ["lab", "twin"])
        with pytest.raises(AccountError, match="there is no account 'openai'"):
            accounts["openai"]
        with pytest.raises(AccountError, match="there is no account 'dummy'"):
            accounts["dummy"]

    def test_a_provider_that_is_not_installed(self) -> None:
        accounts = Accounts({"lab": {}, "far": {"provider": "faraway"}}, {})
        assert accounts["lab"].provider == "openai"
        with pytest.raises(BackendError, match="account far: there is no backend 'far"):
            accounts["far"]

    def test_an_unknown_account(self, lab: Lab) -> None:
        lab.setting()
        lab.account("lab")
        err = lab.run("account=lap", code=3).err
        assert "there is no account 'lap'; did you mean 'lab'?" in err
        assert lab.counts() == {}

    def test_a_key_instead_of_a_url(self, lab: Lab) -> None:
        lab.setting()
        err = lab.run(code=3, OPENAI_BASE_URL=KEY).err
        assert "OPENAI_BASE_URL is not a URL" in err

    def test_another_account_after_a_refusal(self, lab: Lab) -> None:
        """What one account was refused, and what parked it, is not held against
        another; who is said to have paid has paid."""
        lab.account("lab")
        lab.setting(seeds="[0]")
        lab.server.faults([{"fault": "quota", "times": 1}, {"fault": "daily"}])
        lab.run(code=2)
        assert "parked until" in lab.run().out
        lab.server.faults([])
        lab.run("account=lab")
        (job,) = lab.jobs()
        assert (job["account"], job["state"]) == ("lab", "succeeded")
        assert lab.project.records("model")[ONE]["details"]["account"] == "lab"

    def test_a_job_belongs_to_its_account(self, lab: Lab) -> None:
        """Another account cannot see it; that does not mean that it is gone."""
        lab.account("other", organization="another")
        lab.setting(seeds="[0]")
        lab.server.settings(seconds=600)
        lab.run("wait=no")
        ran = lab.run("account=other", code=2)
        (job,) = lab.there("jobs")
        assert f"{job['id']} belongs to account default" in ran.out
        lab.server.settings(seconds=0)
        lab.run()
        assert len(lab.server.state()["jobs"]) >= 1
        assert lab.project.records("model")[ONE]["details"]["job"] == job["id"]

    def test_a_model_is_asked_by_its_owner(self, lab: Lab) -> None:
        lab.account("other", organization="another")
        lab.project.write("ask.py", TASK)
        lab.setting(seeds="[0]", controls="False", evals='[Eval("ask.py@ask")]')
        lab.doit("run", ONE)
        lab.run("account=other")
        (record,) = lab.project.records("eval").values()
        assert record["details"]["scores"]["includes"]["accuracy"] == 1


class TestRemote:
    def test_how_things_are(self, lab: Lab) -> None:
        lab.setting(seeds="[0]")
        lab.run()
        things = {f"file of {UPLOAD}", f"job of {ONE}", f"model of {ONE}"}
        assert seen(lab, 0) == dict.fromkeys(things, "alive")
        lab.server.faults([{"fault": "forbidden", "on": "GET /v1/files"}])
        assert seen(lab, 1)[f"file of {UPLOAD}"] == "forbidden"
        lab.server.faults([])
        nobody_knows = dict.fromkeys(things, "unknown")
        assert seen(lab, 1, OPENAI_BASE_URL="http://127.0.0.1:9/v1") == nobody_knows
        assert seen(lab, 1, OPENAI_API_KEY="") == nobody_knows

        # the model vanishes: its results stay valid, and nobody is asked
        (model,) = lab.there("models")
        lab.client().models.delete(model["id"])
        assert seen(lab, 1) == {
            **dict.fromkeys(things, "alive"),
            f"model of {ONE}": "gone",
        }
        lab.server.forget()
        assert lab.run().made == set()
        assert lab.statuses()[f"{EVAL}0/score"] == "ok"
        assert lab.counts() == {}
        # and a retry is allowed
        lab.doit("retry", ONE)
        lab.run()
        assert lab.created() == 1

    def test_expiring_and_unknown(self, lab: Lab) -> None:
        lab.account(identity="openai")
        lab.setting(seeds="[0]", account="'lab'")
        lab.run()
        settings = lab.project.root / "pyproject.toml"
        declared = settings.read_text()
        with upstream() as server:
            settings.write_text(declared.replace(lab.server.url, server.url))
            server.answer = {"id": "any", "shutdown_date": "2031-05-01"}
            assert seen(lab, 0)[f"model of {ONE}"] == "expiring"
            stopped = server.url
        settings.write_text(declared.replace(lab.server.url, stopped))
        out = lab.doit("verify", "--remote", code=1).out
        assert len(re.findall("unknown .* cannot be reached", out)) == 3

    def test_a_file_that_is_gone(self, lab: Lab) -> None:
        lab.setting(seeds="[0]")
        lab.doit("run", UPLOAD)
        (file,) = lab.there("files")
        lab.client().files.delete(file["id"])
        lab.run()
        sent = lab.project.records("upload")[UPLOAD]["output"]
        assert sent != file["id"]
        (job,) = lab.there("jobs")
        assert job["training_file"] == sent
        lab.client().files.delete(sent)
        lab.server.forget()
        assert lab.run().made == set()
        lab.project.setting(
            "tutor", models=f'["openai/{BASE}"]', evals='[Eval("dummy/b")]'
        )
        assert len(lab.run().made) == 2  # the new eval, of the model and of the base
        assert lab.counts() == {}


class TestMoney:
    def test_what_a_run_would_cost(self, lab: Lab) -> None:
        lab.setting()
        out = lab.doit("plan", "tutor").out
        line = next(line for line in out.splitlines() if ONE in line)
        assert re.search(r"[1-9]\d* tokens, \?", line)
        assert out.splitlines()[-1].endswith("cost: ?")
        lab.tool(f'[tool.motools_build.prices]\n"{BASE}" = {{training = 1000}}')
        plan = lab.plan()
        tokens = plan[ONE]["tokens"]
        assert plan[ONE]["cost"] == pytest.approx(tokens / 1000)
        out = lab.doit("plan", "tutor").out
        assert f"{tokens:,} tokens, ~${tokens / 1000:.2f}" in out
        assert out.splitlines()[-1].endswith(f"cost: ~${2 * tokens / 1000:.2f}")

    def test_max_spend(self, lab: Lab) -> None:
        lab.setting()
        said = lab.run("max_spend=50", code=2).out
        assert f"no price for model '{BASE}' in pyproject.toml" in said
        assert lab.created() == 0
        lab.tool(f'[tool.motools_build.prices]\n"{BASE}" = {{training = 1000}}')
        cost = lab.plan()[ONE]["cost"]
        said = lab.run(f"max_spend={1.5 * cost}", code=2).out
        assert re.search(r"would cost \$\d\.\d\d, and of max_spend=.* is left", said)
        assert lab.created() == 1
        assert len(lab.project.records("model")) == 1
        lab.run(f"max_spend={1.5 * cost}")  # what is paid for counts no more
        assert lab.created() == 1


def test_the_table_of_jobs(lab: Lab) -> None:
    lab.setting()
    assert lab.jobs() == []
    lab.run()
    out = lab.doit("jobs", "tutor").out
    for job in lab.jobs():
        assert job["id"] in out
        assert job["key"][:8] in out
        assert job["stage"] in out
        assert job["cost"] is None
    assert out.count("?") == 2
    assert "$0" not in out


def test_a_settle_time_that_is_none(lab: Lab) -> None:
    lab.setting()
    err = lab.run(code=3, MOTOOLS_SETTLE_SECONDS="soon").err
    assert "MOTOOLS_SETTLE_SECONDS" in err
