"""Marks of clusters on exams of known calcifications, and on exams without, with lines that calcify along vessels, single grains,
coarse ones, labels. A cluster is found where the centre of a mark lies within it or 2 mm beside it.

The sum at the end has the shares; the last column of a sum is of no use here. Limits are those of Wilson, 95 %."""
import math

from evaluate.row import Row

GENERATOR = "mammo"
CLUSTER = "cluster"
PIXELS = {"50 um": ("--pixel", "0.05", "--rows", "4000", "--columns", "3000"), "70 um": ("--pixel", "0.07", "--rows", "3328", "--columns", "2560"),
          "100 um": ("--pixel", "0.1", "--rows", "2400", "--columns", "1800")}
BESIDE_MM = 2
CONFIGURATION = """node: {data_dir: {scratch}}
peers: [{ae_title: A, host: 127.0.0.1, port: 104}]
routes: [{name: r, when: {Modality: MG}, run: mammo, options: {clusters: true}}]
"""

counted = {"clusters": 0, "found": 0, "false": 0, "images": 0}


def cases(seed):
    name, arguments = list(PIXELS.items())[seed % len(PIXELS)]
    return [(f"{name}{' with clusters' if clusters else ''}", ("--seed", seed, *arguments, *(["--clusters"] if clusters else [])),
             float(arguments[1])) for clusters in (True, False)]


def wilson(hits, of):
    if not of:
        return "-"
    p, z = hits / of, 1.96
    middle, half = (p + z * z / (2 * of)) / (1 + z * z / of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return f"{100 * p:.0f} % ({100 * (middle - half):.0f} to {100 * (middle + half):.0f})"


def marks(report):
    """{image number: [(x, y)]} of clusters, as the SR has them."""
    found = {}

    def walk(item):
        for child in item.get("ContentSequence", []):
            if child.get("ValueType") == "CODE" and child.ConceptNameCodeSequence[0].CodeValue == "111059" and child.ConceptCodeSequence[0].CodeValue == "129769006":
                for part in child.ContentSequence:
                    if part.get("ValueType") == "SCOORD" and part.ConceptNameCodeSequence[0].CodeValue == "111010":
                        entry = report
                        for step in list(part.ContentSequence[0].ReferencedContentItemIdentifier)[1:]:
                            entry = entry.ContentSequence[step - 1]
                        uid = entry.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
                        found.setdefault(int(uid.rsplit(".", 1)[1]), []).append(tuple(part.GraphicData))
            walk(child)
    walk(report)
    return found


def rows(truth, expected, result):
    found, out = marks(result.objects["SR"][1]), []
    for number, view in enumerate(truth, 1):
        name = f"{view['side']} {view['view']}"
        clusters = [m for m in view["marks"] if m["kind"] == CLUSTER]
        false = list(found.get(number, []))
        for c in clusters:
            hits = [m for m in false if math.dist(m, (c["x"], c["y"])) * expected < c["radius_mm"] + BESIDE_MM]
            false = [m for m in false if m not in hits]
            counted["clusters"] += 1
            counted["found"] += bool(hits)
            out.append(Row(f"{name}: cluster of {c['count']}", 1, int(bool(hits)), 0, "clusters found"))
        counted["false"] += len(false)
        counted["images"] += 1
        out.append(Row(f"{name}: false clusters", 0, len(false), 0, "images without a false cluster"))
    print(f"so far: clusters found {wilson(counted['found'], counted['clusters'])} of {counted['clusters']}, "
          f"{counted['false'] / counted['images']:.2f} false an image of {counted['images']}")
    return out
