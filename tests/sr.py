"""Reads a TID 1500 measurement report back, by pydicom and by nothing of our own."""
from dataclasses import dataclass, field

ARTERIES = {"3227004": "LM", "59438005": "LAD", "57396003": "LCX", "13647002": "RCA"}  # SCT
ALL_ARTERIES = "41801008"  # SCT
SCORE, VOLUME, MASS = "450360000", "122660", "122661"


def code(sequence):
    return (sequence[0].CodeValue, sequence[0].CodingSchemeDesignator, sequence[0].CodeMeaning) if sequence else None


def name(item):
    return code(item.get("ConceptNameCodeSequence"))


def children(item, value_type=None, concept=None):
    return [c for c in item.get("ContentSequence", [])
            if (value_type is None or c.ValueType == value_type) and (concept is None or (name(c) or ("",))[0] == concept)]


@dataclass
class Number:
    concept: tuple
    value: float
    unit: str
    method: tuple = None
    derivation: tuple = None


@dataclass
class Group:
    tracking: str = ""
    tracking_uid: str = ""
    finding: tuple = None
    site: tuple = None
    laterality: tuple = None
    numbers: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    outline_points: list = field(default_factory=list)  # (SOP Instance UID of the image, graphic data)

    @property
    def outlines(self):
        return len(self.outline_points)

    def number(self, concept):
        """The value of the only number of this concept, or None."""
        found = [n.value for n in self.numbers if n.concept[0] == concept]
        if len(found) > 1:
            raise ValueError(f"{self.tracking}: {concept} {len(found)} times")
        return found[0] if found else None

    @property
    def artery(self):
        return ARTERIES.get(self.site[0]) if self.site else None


def read_number(item):
    value = item.MeasuredValueSequence[0]
    methods, derivations = children(item, "CODE", "370129005"), children(item, "CODE", "121401")
    return Number(name(item), float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue,
                  code(methods[0].ConceptCodeSequence) if methods else None,
                  code(derivations[0].ConceptCodeSequence) if derivations else None)


def read_statement(item):
    """(concept meaning, text or code meaning) of a TEXT or CODE item."""
    said = item.TextValue if item.ValueType == "TEXT" else code(item.ConceptCodeSequence)[2]
    return ((name(item) or ("", "", ""))[2], said)


def read_outline(item):
    return [(image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID, list(item.GraphicData)) for image in children(item, "IMAGE")]


def read_group(item):
    group = Group()
    for child in item.get("ContentSequence", []):
        concept = (name(child) or ("",))[0]
        if concept == "112039":
            group.tracking = child.TextValue
        elif concept == "112040":
            group.tracking_uid = child.UID
        elif concept == "121071":
            group.finding = code(child.ConceptCodeSequence)
        elif concept == "363698007":
            group.site = code(child.ConceptCodeSequence)
            sides = children(child, "CODE", "272741003")
            group.laterality = code(sides[0].ConceptCodeSequence) if sides else None
        elif child.ValueType == "NUM":
            group.numbers.append(read_number(child))
            group.outline_points += [o for s in children(child, "SCOORD") for o in read_outline(s)]
        elif child.ValueType in ("TEXT", "CODE"):
            group.texts.append(read_statement(child))
        elif child.ValueType == "SCOORD":
            group.outline_points += read_outline(child)
    return group


@dataclass
class Report:
    groups: list
    statements: list  # (concept, text) anywhere outside the groups

    @property
    def judgements(self):
        """What is said of the whole study: class, warnings, verdict."""
        return [s for s in self.statements if s[0] in ("Finding", "Comment") or "CAC-DRS" in s[0]]

    def said(self):
        return "\n".join(f"{a}: {b}" for a, b in self.statements)

    def total(self):
        """Scores of the group for all coronary arteries, or None."""
        return next((scores(g) for g in self.groups if g.site and g.site[0] == ALL_ARTERIES), None)

    def artery_scores(self):
        """{LM: {agatston, volume_mm3, mass_mg}} of the groups that stand for a whole artery: they
        have no outline of their own, or are the only ones of their site."""
        found = {}
        for group in self.groups:
            if group.artery and " " not in group.tracking:
                found[group.artery] = scores(group)
        return found

    def lesions(self):
        return [g for g in self.groups if "lesion" in g.tracking.lower()]


def scores(group):
    return {"agatston": group.number(SCORE), "volume_mm3": group.number(VOLUME), "mass_mg": group.number(MASS)}


def read(ds):
    """A pydicom data set -> Report."""
    groups, statements = [], []

    def walk(item):
        for child in item.get("ContentSequence", []):
            if child.get("ValueType") == "CONTAINER" and (name(child) or ("",))[0] == "125007":
                groups.append(read_group(child))
                continue
            if child.get("ValueType") in ("TEXT", "CODE"):  # a reference to another item has none
                statements.append(read_statement(child))
            walk(child)

    walk(ds)
    return Report(merged(groups), statements)


def merged(groups):
    """Groups of one Tracking Unique Identifier are one finding: the first refers to a segment, the
    second has its outlines."""
    found = {}
    for group in groups:
        first = found.setdefault(group.tracking_uid or id(group), group)
        if first is not group:
            first.numbers += group.numbers
            first.texts += group.texts
            first.outline_points += group.outline_points
    return list(found.values())
