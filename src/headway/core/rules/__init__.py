"""The orchestration rules: `(facts, proposed state) -> decision`, without any I/O (DESIGN §3).

`facts` what rules look at; `table` how a policy is written down; `flow_policies` and `task_policies` the
rules of CONTRACT §2.1 and §2.2; `transforms` what every state does to its run (§2.3); `fencing` who may
write; `commands` what can be asked for; `decide` how a command becomes a decision.
"""
