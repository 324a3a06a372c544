"""How long an analysis takes from the last C-STORE response to the last result in the PACS, and the memory of the node meanwhile."""
import time

import peers


def results_in(pacs):
    return sum(len(s["Instances"]) for modality in ("SR", "PR", "OT") for s in pacs.find("Series", Modality=modality))


def instances_in(pacs):
    """A counter that the PACS keeps: to list series of a thousand images again and again takes it as long as all else."""
    return pacs.get("/statistics")["CountInstances"]


def one_run(pacs, node, files, ports, count=results_in, results=3):
    """Seconds from the end of the last C-STORE to the last of so many results, and the largest
    resident size of any process of the node."""
    peers.store(files, ports[0])
    before, peak = count(pacs), 0
    peers.store(files, ports[2], called="ANODE", calling="ORTHANC")
    start = time.monotonic()

    def complete():
        nonlocal peak
        peak = max([peak] + [peers.memory(p, "VmHWM") for p in peers.descendants(node.pid)])
        if not node.running():
            raise peers.PeerError(node.tail())
        return count(pacs) >= before + results
    peers.wait_for(complete, 300, f"{results} results\n{node.tail()}")
    return time.monotonic() - start, peak
