// A face that speaks what its AudioSource plays, or what the microphone hears. README.md says how to put it in.

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using UnityEngine;

[RequireComponent(typeof(AudioSource))]
public sealed class PhizFace : MonoBehaviour
{
    [Tooltip("Meshes with blend shapes named as ARKit does: jawOpen, head.jawOpen or jaw_open, mouthSmileLeft or mouthSmile_L.")]
    public SkinnedMeshRenderer[] faces = Array.Empty<SkinnedMeshRenderer>();
    [Tooltip("Hear the microphone instead of the AudioSource's clip; it is not played.")]
    public bool microphone;
    [Tooltip("Play the sound as late as the face is, so that lips and voice meet.")]
    public bool delaySound = true;

    private struct Target
    {
        public int Control;
        public SkinnedMeshRenderer Mesh;
        public int Shape;
    }

    private readonly object gate = new object(); // between the audio thread and the main thread
    private readonly List<Target> targets = new List<Target>();
    private IntPtr face = IntPtr.Zero;
    private float[] heard, latest, before, shown; // [controls]: by the audio thread; then the last two that were seen, and now
    private bool fresh;
    private float interval, since;
    private float[] delayed = Array.Empty<float>(); // a ring of interleaved samples
    private int place, delay, rate;

    private void OnEnable()
    {
        int controls = Native.phiz_unity_controls();
        heard = new float[controls];
        latest = new float[controls];
        before = new float[controls];
        shown = new float[controls];
        interval = Native.phiz_unity_interval();
        FindShapes(controls);
        rate = AudioSettings.outputSampleRate;
        IntPtr memory = Marshal.AllocHGlobal(Native.phiz_unity_bytes());
        if (Native.phiz_unity_begin(memory, rate) == 0)
        {
            Marshal.FreeHGlobal(memory);
            Debug.LogError($"phiz: nothing is known of {rate} Hz; set 48000 in Project Settings > Audio", this);
            enabled = false;
            return;
        }
        delay = Mathf.RoundToInt(Native.phiz_unity_latency(memory) * rate);
        delayed = new float[delay * 8]; // eight channels at most
        place = 0;
        lock (gate) face = memory;
        if (microphone) Listen();
    }

    private void OnDisable()
    {
        if (microphone) Microphone.End(null);
        lock (gate)
        {
            if (face != IntPtr.Zero) Marshal.FreeHGlobal(face);
            face = IntPtr.Zero;
        }
    }

    private void Listen()
    {
        AudioSource source = GetComponent<AudioSource>();
        source.clip = Microphone.Start(null, true, 1, rate);
        source.loop = true;
        source.Play();
    }

    /// <summary>Which blend shapes a control moves; Unity's meshes know them by number.</summary>
    private void FindShapes(int controls)
    {
        targets.Clear();
        for (int control = 0; control < controls; control++)
        {
            string name = Plain(Marshal.PtrToStringAnsi(Native.phiz_unity_control(control)));
            foreach (SkinnedMeshRenderer mesh in faces)
            {
                if (mesh == null || mesh.sharedMesh == null) continue;
                for (int shape = 0; shape < mesh.sharedMesh.blendShapeCount; shape++)
                    if (Plain(mesh.sharedMesh.GetBlendShapeName(shape)) == name)
                        targets.Add(new Target { Control = control, Mesh = mesh, Shape = shape });
            }
        }
        if (targets.Count == 0) Debug.LogWarning("phiz: no blend shape is named as a control is", this);
    }

    /// <summary>head.mouthSmile_L, mouth_smile_left and mouthSmileLeft are one.</summary>
    private static string Plain(string name)
    {
        string word = name.Substring(name.LastIndexOf('.') + 1);
        if (word.EndsWith("_L")) word = word.Substring(0, word.Length - 2) + "Left";
        if (word.EndsWith("_R")) word = word.Substring(0, word.Length - 2) + "Right";
        return word.Replace("_", "").ToLowerInvariant();
    }

    /// <summary>On the audio thread, a buffer at a time; nothing is allocated.</summary>
    private void OnAudioFilterRead(float[] data, int channels)
    {
        lock (gate)
        {
            if (face == IntPtr.Zero) return;
            if (Native.phiz_unity_push(face, data, data.Length / channels, channels, heard) > 0) fresh = true;
        }
        if (microphone) Array.Clear(data, 0, data.Length);
        else if (delaySound) Delay(data, channels);
    }

    private void Delay(float[] data, int channels)
    {
        int length = delay * channels;
        if (length == 0 || length > delayed.Length) return;
        for (int i = 0; i < data.Length; i++)
        {
            if (place >= length) place = 0;
            float now = data[i];
            data[i] = delayed[place];
            delayed[place++] = now;
        }
    }

    /// <summary>A picture: from the last frame to the newest, in the time that lies between two; nothing is allocated.</summary>
    private void LateUpdate()
    {
        lock (gate)
        {
            if (fresh)
            {
                Array.Copy(shown, before, shown.Length);
                Array.Copy(heard, latest, heard.Length);
                since = 0;
                fresh = false;
            }
        }
        since += Time.deltaTime;
        float share = Mathf.Clamp01(since / interval);
        for (int i = 0; i < shown.Length; i++) shown[i] = before[i] + (latest[i] - before[i]) * share;
        foreach (Target target in targets) target.Mesh.SetBlendShapeWeight(target.Shape, 100 * shown[target.Control]);
    }

    private static class Native
    {
#if UNITY_IOS && !UNITY_EDITOR
        private const string Library = "__Internal";
#else
        private const string Library = "phiz";
#endif
        [DllImport(Library)] public static extern int phiz_unity_bytes();
        [DllImport(Library)] public static extern int phiz_unity_controls();
        [DllImport(Library)] public static extern IntPtr phiz_unity_control(int index);
        [DllImport(Library)] public static extern float phiz_unity_interval();
        [DllImport(Library)] public static extern float phiz_unity_latency(IntPtr face);
        [DllImport(Library)] public static extern int phiz_unity_begin(IntPtr face, int rate);
        [DllImport(Library)] public static extern int phiz_unity_push(
            IntPtr face, float[] samples, int count, int channels, [In, Out] float[] controls);
    }
}
