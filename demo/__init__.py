"""Trains and packs the demo models, and makes networks for tests.

``python -m demo --out DIR`` trains and packs the demo models, ``demo/zoo.py`` packs a
pretrained network of MXNet's model zoo, ``demo/networks.py`` writes networks with made-up
weights. All run on the container's Python (``container/requirements.txt``,
``requirements/demo.txt``).
"""
