"""Views of a chest of 512 x 512 x 300 voxels all around, 512 x 512 pixels, beside VTK's ray casting
on the processor (python3-vtk9, with a virtual screen: xvfb), in turns in the same run: time of a
view and memory. Same samples (0.7 mm apart), same opacities, parallel rays, two threads. VTK is
left out, saying so, where it is missing.
usage: bench_render.py [VIEWS]   36 unless told; BENCH_STEP: mm between samples
"""
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

SIDE, SLICES, SIZE = 512, 300, 512
STEP = float(os.environ.get("BENCH_STEP", "0.7"))
BONE = ((150, 0, (.729, .255, .302)), (280, .19, None), (640, .716, (.906, .816, .553)),
        (3071, .72, (1, 1, 1)))


def vtk_volume(path, kind):
    import vtk
    reader = vtk.vtkImageReader2()
    reader.SetFileName(path)
    reader.SetFileDimensionality(3)
    reader.SetDataScalarTypeToShort()
    reader.SetDataByteOrderToLittleEndian()
    reader.SetDataExtent(0, SIDE - 1, 0, SIDE - 1, 0, SLICES - 1)
    reader.SetDataSpacing(0.7, 0.7, 1)
    reader.Update()
    vtk.vtkMultiThreader.SetGlobalMaximumNumberOfThreads(2)
    mapper = vtk.vtkFixedPointVolumeRayCastMapper()
    mapper.SetInputConnection(reader.GetOutputPort())
    mapper.SetNumberOfThreads(2)
    mapper.AutoAdjustSampleDistancesOff()
    mapper.LockSampleDistanceToInputSpacingOff()
    mapper.SetImageSampleDistance(1)
    mapper.SetSampleDistance(STEP)
    mapper.SetInteractiveSampleDistance(STEP)
    opacity, colour = vtk.vtkPiecewiseFunction(), vtk.vtkColorTransferFunction()
    shown = vtk.vtkVolumeProperty()
    if kind == "mip":
        mapper.SetBlendModeToMaximumIntensity()
        for at, a in ((-200, 0), (800, 1)):
            opacity.AddPoint(at, a)
            colour.AddRGBPoint(at, a, a, a)
    else:
        mapper.SetBlendModeToComposite()
        for at, a, rgb in BONE:
            opacity.AddPoint(at, a)
            if rgb:
                colour.AddRGBPoint(at, *rgb)
        shown.ShadeOn()
        shown.SetAmbient(.1)
        shown.SetDiffuse(.9)
        shown.SetSpecular(.2)
        shown.SetSpecularPower(10)
    shown.SetScalarOpacity(opacity)
    shown.SetColor(colour)
    shown.SetInterpolationTypeToLinear()
    volume = vtk.vtkVolume()
    volume.SetMapper(mapper)
    volume.SetProperty(shown)
    return volume


def vtk_views(path, kind, count):
    import vtk
    renderer, window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(SIZE, SIZE)
    window.AddRenderer(renderer)
    renderer.AddVolume(vtk_volume(path, kind))
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    camera.SetFocalPoint(SIDE * .35, SIDE * .35, SLICES / 2)
    camera.SetPosition(SIDE * .35, SIDE * .35 - 1000, SLICES / 2)
    camera.SetViewUp(0, 0, 1)
    camera.SetParallelScale(258)  # as render_fit() of render_view.h
    renderer.ResetCameraClippingRange()
    times, cpu = [], []
    for n in range(count + 1):  # the first prepares
        start, used = time.monotonic(), time.process_time()
        window.Render()
        times.append(time.monotonic() - start)
        cpu.append(time.process_time() - used)
        if n:
            camera.Azimuth(360 / count)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"vtk {kind:4} {count} views, first {times[0]:.2f} s, then "
          f"{sum(times[1:]) / count:.3f} s a view, {sum(cpu[1:]) / count:.3f} s of processor time; "
          f"{most} MB at most", flush=True)


def main():
    if sys.argv[1:2] == ["--vtk"]:
        vtk_views(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    count = sys.argv[1] if sys.argv[1:] else "36"
    program = os.path.join(os.environ["BUILD"], "tests", "bench_render")
    has_vtk = shutil.which("xvfb-run") and subprocess.run(
        [sys.executable, "-c", "import vtk"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "chest.raw")
        subprocess.run([program, "-w", path], check=True)
        env = dict(os.environ, BENCH_VOLUME=path)
        for kind in ("mip", "bone"):
            subprocess.run([program, "-v", count, "-s", str(STEP), kind], env=env, check=True)
            if has_vtk:
                subprocess.run(["xvfb-run", "-a", sys.executable, __file__, "--vtk", path, kind,
                                count], check=True)
            else:
                print("vtk is not here: python3-vtk9, xvfb")


main()
