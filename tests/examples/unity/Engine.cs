// Stand-ins of what PhizFace.cs uses of Unity, and an engine of one object: it plays 48 kHz sound from standard input
// (interleaved float32) in buffers of 1024, draws after each, and prints the weights.

using System;
using System.IO;
using System.Reflection;

namespace UnityEngine
{
    public class Object { }
    public class Component : Object { public T GetComponent<T>() where T : new() => new T(); }
    public class MonoBehaviour : Component { public bool enabled = true; }
    public class AudioClip : Object { }
    public class AudioSource : Component { public AudioClip clip; public bool loop; public void Play() { } }
    public class Mesh : Object
    {
        public string[] names = { "head.jawOpen", "nose", "mouth_smile_L", "mouthClose", "mouthFunnel" };
        public int blendShapeCount => names.Length;
        public string GetBlendShapeName(int index) => names[index];
    }
    public class SkinnedMeshRenderer : Component
    {
        public Mesh sharedMesh = new Mesh();
        public float[] weights = new float[5];
        public void SetBlendShapeWeight(int index, float value) => weights[index] = value;
    }
    public class RequireComponent : Attribute { public RequireComponent(Type type) { } }
    public class Tooltip : Attribute { public Tooltip(string text) { } }
    public static class AudioSettings { public static int outputSampleRate = 48000; }
    public static class Microphone
    {
        public static AudioClip Start(string device, bool loop, int seconds, int rate) => new AudioClip();
        public static void End(string device) { }
    }
    public static class Time { public static float deltaTime; }
    public static class Mathf
    {
        public static int RoundToInt(float value) => (int)Math.Round(value);
        public static float Clamp01(float value) => Math.Min(Math.Max(value, 0), 1);
    }
    public static class Debug
    {
        public static void LogError(string text, Object place) => throw new Exception(text);
        public static void LogWarning(string text, Object place) => throw new Exception(text);
    }
}

public static class Engine
{
    public static void Main(string[] arguments)
    {
        var face = new PhizFace { microphone = arguments[0] == "microphone", delaySound = arguments[0] == "delay" };
        var mesh = new UnityEngine.SkinnedMeshRenderer();
        face.faces = new[] { mesh, null };
        Action<string, object[]> call = (name, values) =>
            typeof(PhizFace).GetMethod(name, BindingFlags.Instance | BindingFlags.NonPublic).Invoke(face, values);
        call("OnEnable", null);
        var reader = new BinaryReader(Console.OpenStandardInput());
        var buffer = new float[1024];
        UnityEngine.Time.deltaTime = 1; // every picture shows the newest frame
        for (;;)
        {
            byte[] bytes = reader.ReadBytes(4 * buffer.Length);
            if (bytes.Length < 4 * buffer.Length) break;
            Buffer.BlockCopy(bytes, 0, buffer, 0, bytes.Length);
            call("OnAudioFilterRead", new object[] { buffer, 2 });
            call("LateUpdate", null);
            Console.WriteLine(string.Join(" ", Array.ConvertAll(mesh.weights, weight => weight.ToString("R")))
                + " " + buffer[0].ToString("R") + " " + buffer[1023].ToString("R"));
        }
        call("OnDisable", null);
        call("OnAudioFilterRead", new object[] { buffer, 2 }); // comes late, and finds nothing
    }
}
