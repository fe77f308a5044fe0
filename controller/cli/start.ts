import { Command, InvalidArgumentError } from 'commander';
import { LocalCluster } from './local-cluster.ts';

// npm start: a whole cluster on this machine.

const program = new Command('npm start --')
  .description('Runs a Trivet cluster on this machine: one controller and some nodes, each a process of its own.')
  .option('--port <port>', 'port of the controller; nodes take the ports after it', wholeNumber(1, 65_000), 8081)
  .option('--data <directory>', 'where everything is kept', 'data')
  .option('--nodes <count>', 'how many nodes', wholeNumber(1, 99), 3)
  .option('--store <store>', 'sqlite, or mysql://user:password@host:port/database', 'sqlite')
  .option('--no-restart', 'leave a process that died as it is')
  .parse();

const options = program.opts<{ port: number; data: string; nodes: number; store: string; restart: boolean }>();
if (options.store !== 'sqlite' && !/^mysql:\/\/./.test(options.store)) program.error('error: --store must be "sqlite" or begin with "mysql://"');
const cluster = new LocalCluster({
  port: options.port, directory: options.data, nodes: options.nodes, store: options.store, restart: options.restart,
  environment: process.env, say: (text) => console.log(text),
});
const stop = () => { void cluster.stop().then(() => process.exit(0)); };
process.on('SIGINT', stop);
process.on('SIGTERM', stop);
try {
  await cluster.start();
} catch (error) {
  console.error(`trivet could not start: ${(error as Error).message}`);
  await cluster.stop();
  process.exit(1);
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < min || number > max) throw new InvalidArgumentError(`a whole number from ${min} to ${max}`);
    return number;
  };
}
