"""SageMaker hosting for multi-model endpoints on one machine, for any AWS client.

``python -m localaws --help`` explains how to run it; ``docs/localaws.md`` is the manual.
It knows nothing of the portal, and the portal nothing of it: they meet at AWS's API.
"""
