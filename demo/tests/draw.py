"""Draw held-out pictures as a user would send them: ``draw.py FOLDER``.

Run by the container's Python. Each picture is a JPEG, wider than high, named
``INDEX-LABEL.jpg``; none is among those that the program measured itself on.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from demo import digits, shapes

SIZE = 96
out = Path(sys.argv[1])
_, held_out = digits.handwriting()
rng = np.random.default_rng(20261)
drawn = digits.varied(held_out.fields, rng=rng, size=SIZE, edge=(0.4, 0.52), height=(0.4, 0.9))
plain = digits.plain(held_out.fields, size=SIZE)
for kind, pictures in (("everyday", drawn), ("plain", plain)):
    folder = out / kind
    folder.mkdir(parents=True)
    for index, (picture, label) in enumerate(zip(pictures, held_out.labels, strict=True)):
        wide = np.pad(picture, ((0, 0), (12, 12)), mode="edge")  # the container crops it again
        name = f"{index:03d}-{digits.LABELS[label]}.jpg"
        Image.fromarray(wide).convert("RGB").save(folder / name, quality=90)
folder = out / "shapes"
folder.mkdir()
for index in range(200):
    label = shapes.LABELS[index % len(shapes.LABELS)]
    picture = shapes.draw(label, rng=rng, size=2 * SIZE).reduce(2)
    picture.save(folder / f"{index:03d}-{label}.jpg", quality=90)
