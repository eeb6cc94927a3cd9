"""SageMaker hosting for multi-model endpoints on one machine, for any AWS client.

``python -m localaws --help`` explains how to run it; ``docs/localaws.md`` is the manual.
It does not import the portal, nor the portal it: they talk by AWS's API.
"""
