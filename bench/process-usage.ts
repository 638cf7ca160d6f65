/** Owns reading what a process used, from Linux's /proc. */
import { readFileSync } from "node:fs";

/** USER_HZ, the unit of /proc/PID/stat: 100 on every architecture that workerd is built for. */
const ticksPerSecond = 100;

/** User and system time of all threads of a process since it started, in milliseconds. */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The command name may hold spaces and parentheses: count fields after its closing one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return (ticks * 1_000) / ticksPerSecond;
}

/** Resident memory of a process, in bytes. */
export function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const kilobytes = /^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1];
  if (kilobytes === undefined) {
    throw new Error(`process ${pid} reports no resident memory`);
  }
  return Number(kilobytes) * 1_024;
}

/** What all processes of the machine used since it started, user, system and interrupts, in milliseconds. */
export function machineCpuMs(): number {
  const fields = readFileSync("/proc/stat", "latin1").split("\n", 1)[0]?.split(/\s+/u) ?? [];
  // cpu user nice system idle iowait irq softirq …
  const busy = [1, 2, 3, 6, 7].reduce((sum, field) => sum + Number(fields[field]), 0);
  return (busy * 1_000) / ticksPerSecond;
}
