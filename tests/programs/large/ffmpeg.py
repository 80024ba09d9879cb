# SPDX-License-Identifier: MIT
"""ffmpeg: makes pictures and sound, encodes them with several threads and codecs, and decodes what came out."""
import harness

SOURCES = ["-f", "lavfi", "-i", "testsrc2=duration=2:size=640x360:rate=25", "-f", "lavfi", "-i",
           "sine=frequency=440:duration=2"]
CODECS = {
    "mpeg4.avi": ["-c:v", "mpeg4", "-c:a", "mp2"],
    "ffv1.mkv": ["-c:v", "ffv1", "-level", "3", "-slices", "4", "-c:a", "flac"],
    "h264.mp4": ["-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"],
}


def workload(run):
    ffmpeg = [harness.need("ffmpeg", package="ffmpeg"), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
    has = run.cmd([ffmpeg[0], "-hide_banner", "-encoders"], compare=False).decode()
    for name, options in CODECS.items():
        if options[1] not in has or options[-1] not in has:
            print(f"{name}: no encoder {options[1]} or {options[-1]} in this ffmpeg")
            continue
        run.cmd([*ffmpeg, *SOURCES, "-threads", "4", *options, "-fflags", "+bitexact", "-flags", "+bitexact", name],
                hold="ffmpeg")
        run.cmd([*ffmpeg, "-threads", "4", "-i", name, "-vf", "scale=320:180,hflip", "-f", "framemd5", "-"])


harness.main(workload, ["ffmpeg"])
