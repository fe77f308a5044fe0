import { drawOptions, withSetting, type SimulationOptions } from './options.ts';

/** What a run is made of besides its seed, as given by whoever starts it. */
export interface Settings {
  /** Undefined: every second seed is a run for liveness. */
  liveness?: boolean;
  /** Options by their names, over those the seed draws. */
  set: readonly (readonly [name: string, value: string])[];
}

/** The options of a seed's run. */
export function optionsOf(seed: number, settings: Settings = { set: [] }): SimulationOptions {
  const drawn = drawOptions(seed, settings.liveness ?? seed % 2 === 1);
  return settings.set.reduce((options, [name, value]) => withSetting(options, name, value), drawn);
}
