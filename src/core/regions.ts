/**
 * Regions of the world: where a request comes from, and which regions are near. Pure; knows nothing
 * of requests or servers. The regions are the location hints of Durable Objects (Cloudflare, "Data
 * location", 2026).
 */
import { regions, type Region } from "../protocol/registry.ts";

/** Rough middles of the regions, degrees: latitude, longitude. */
const middles: Readonly<Record<Region, readonly [number, number]>> = {
  wnam: [39, -119],
  enam: [40, -77],
  sam: [-19, -48],
  weur: [49, 4],
  eeur: [51, 24],
  apac: [22, 112],
  oc: [-31, 147],
  afr: [-4, 22],
  me: [26, 48],
};

/** All regions, the nearest first: by the distance between their middles on the globe. */
export function fallbackOrder(from: Region): readonly Region[] {
  return orders.get(from) ?? regions;
}

/** The region whose middle is nearest to a place given in degrees. */
export function regionOf(latitude: number, longitude: number): Region {
  return byDistance([latitude, longitude])[0] ?? "enam";
}

const orders = new Map(regions.map((region) => [region, byDistance(middles[region])]));

function byDistance(from: readonly [number, number]): Region[] {
  return regions.toSorted((one, other) => angle(from, middles[one]) - angle(from, middles[other]));
}

/** Of two places on a globe, seen from its middle, radians. */
function angle(one: readonly [number, number], other: readonly [number, number]): number {
  const [latitude, longitude] = radians(one);
  const [otherLatitude, otherLongitude] = radians(other);
  const cosine =
    Math.sin(latitude) * Math.sin(otherLatitude) +
    Math.cos(latitude) * Math.cos(otherLatitude) * Math.cos(longitude - otherLongitude);
  return Math.acos(Math.min(1, Math.max(-1, cosine)));
}

function radians([latitude, longitude]: readonly [number, number]): [number, number] {
  return [(latitude * Math.PI) / 180, (longitude * Math.PI) / 180];
}
