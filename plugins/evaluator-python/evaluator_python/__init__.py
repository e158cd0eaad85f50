"""The evaluator `evaluator-python`: CPython as a component, which runs the `unittest` suite of the tree that it judges.

What is imported here is imported once, when the component is built, and is in its memory from then on: a call begins with
all of it loaded and ends with all of it thrown away.

| file | owns |
|---|---|
| `app` | the contract: a request in, a judgement out |
| `frozen` | which modules exist in the sandbox |
| `settings` | what the operator may say |
| `discovery` | where tests are, and how they are imported |
| `suite` | running them, and what each of them came to |
| `limits` | what cannot be done in the sandbox, and how it is noticed |
| `guard` | what a tree under test may not touch |
| `explain` | an exception in words |
"""
