// Serves Rhubarb to bench/rhubarb.py: a JSON line of {"pcm": file, "text": string} in, a line of
// {"cues", "seconds", "cpu"} out.
// node rhubarb.mjs FOLDER, where npm has installed rhubarb-lip-sync-wasm.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const entrance = join(resolve(process.argv[2]), "node_modules", "rhubarb-lip-sync-wasm", "dist", "index.js");
const { Rhubarb } = await import(pathToFileURL(entrance).href);
// What the engine has to say about its work would mix with the answers.
const answer = process.stdout.write.bind(process.stdout);
console.log = console.info = console.warn = () => {};

for await (const line of createInterface({ input: process.stdin })) {
  const { pcm, text } = JSON.parse(line);
  const samples = readFileSync(pcm);
  const [start, busy] = [process.hrtime.bigint(), process.cpuUsage()];
  try {
    const { mouthCues } = await Rhubarb.getLipSync(samples, text ? { dialogText: text } : {});
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const { user, system } = process.cpuUsage(busy);
    answer(`${JSON.stringify({ cues: mouthCues, seconds, cpu: (user + system) / 1e6 })}\n`);
  } catch (error) {
    answer(`${JSON.stringify({ error: String(error) })}\n`);
  }
}
