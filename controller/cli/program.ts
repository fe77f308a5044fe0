import { Command, Option, type OutputConfiguration } from 'commander';
import { addAcceptDataLoss } from './accept-data-loss.ts';
import { parseControllers } from './arguments.ts';
import { addAtRisk } from './at-risk.ts';
import { addClusterStatus } from './cluster-status.ts';
import { DEFAULT_CONTROLLER } from './config.ts';
import { addControllersList } from './controllers-list.ts';
import { addDataLosses } from './data-losses.ts';
import { examples } from './examples.ts';
import { addFindings } from './findings.ts';
import { addMaintenanceRun } from './maintenance-run.ts';
import { addNodesActivate } from './nodes-activate.ts';
import { addNodesDrain } from './nodes-drain.ts';
import { addNodesList } from './nodes-list.ts';
import { addNodesQuiesce } from './nodes-quiesce.ts';
import { addNodesRemove } from './nodes-remove.ts';
import { addNodesShow } from './nodes-show.ts';
import { addRepairCancel } from './repair-cancel.ts';
import { addRepairList } from './repair-list.ts';
import { addRepairRetry } from './repair-retry.ts';
import { addRepairRun } from './repair-run.ts';
import { addRepairShow } from './repair-show.ts';
import { addRepairWatch } from './repair-watch.ts';
import { addReposCancelImport } from './repos-cancel-import.ts';
import { addReposCreate } from './repos-create.ts';
import { addReposDelete } from './repos-delete.ts';
import { addReposImport } from './repos-import.ts';
import { addReposImports } from './repos-imports.ts';
import { addReposList } from './repos-list.ts';
import { addReposPurge } from './repos-purge.ts';
import { addReposRename } from './repos-rename.ts';
import { addReposRestore } from './repos-restore.ts';
import { addReposSet } from './repos-set.ts';
import { addReposShow } from './repos-show.ts';
import { addReposTrash } from './repos-trash.ts';
import { addTransactionsList } from './transactions-list.ts';
import { addTransactionsSettle } from './transactions-settle.ts';
import { addTransactionsShow } from './transactions-show.ts';
import { addVerify } from './verify.ts';

/**
 * All of `trivet`, with every option and text; parsing it throws CommanderError where commander would end the process.
 * @param output where help and complaints go; the process's own streams unless it says otherwise
 */
export function makeProgram(output: OutputConfiguration = {}): Command {
  const program = new Command('trivet')
    .configureOutput(output)
    .description('Asks a Trivet cluster how it is, and has it repaired.')
    .option('--controller <url>', `base URL of a controller; of several, separated by commas, the first that answers (default: TRIVET_CONTROLLER_URL of the environment, else ${DEFAULT_CONTROLLER})`, parseControllers)
    .option('--json', 'print what REST answers, for programs')
    .option('--no-colour', 'no colours, as with NO_COLOR in the environment')
    .addOption(new Option('--no-color').hideHelp())
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .addHelpText('after', examples(
      ['trivet cluster status', 'is everything as it should be?'],
      ['trivet repair watch', 'what is being done about it'],
      ['trivet verify --all', 'look at every disk'],
    ))
    .addHelpText('after', '\nExit status: 0 fine; 1 at risk, found or failed; 2 usage; 3 can\'t reach the cluster; 130 interrupted.');

  const cluster = program.command('cluster').description('The whole cluster: is anything wrong?');
  addClusterStatus(cluster);
  addAtRisk(program);
  const repos = program.command('repos').description('Repositories: what there is, and what becomes of it.');
  addReposList(repos);
  addReposShow(repos);
  addReposCreate(repos);
  addReposImport(repos);
  addReposImports(repos);
  addReposCancelImport(repos);
  addReposRename(repos);
  addReposSet(repos);
  addReposDelete(repos);
  addReposTrash(repos);
  addReposRestore(repos);
  addReposPurge(repos);
  const repair = program.command('repair').description('Repair jobs: what is being done to make replicas current again.');
  addRepairList(repair);
  addRepairShow(repair);
  addRepairRun(repair);
  addRepairWatch(repair);
  addRepairCancel(repair);
  addRepairRetry(repair);
  const nodes = program.command('nodes').description('Nodes: which there are, and what is wanted of them.');
  addNodesList(nodes);
  addNodesShow(nodes);
  addNodesDrain(nodes);
  addNodesQuiesce(nodes);
  addNodesActivate(nodes);
  addNodesRemove(nodes);
  addVerify(program);
  const maintenance = program.command('maintenance').description('Keeping replicas fast: packs, indexes and graphs.');
  addMaintenanceRun(maintenance);
  addFindings(program);
  const transactions = program.command('transactions').description('Transactions: what was decided about pushes.');
  addTransactionsList(transactions);
  addTransactionsShow(transactions);
  addTransactionsSettle(transactions);
  addAcceptDataLoss(program);
  addDataLosses(program);
  const controllers = program.command('controllers').description('Controllers: which there are, and whether they were told the same.');
  addControllersList(controllers);
  for (const group of [repos, nodes, controllers, repair, transactions]) {
    group.addHelpText('after', examples([`trivet ${group.name()} list`, 'begin here'], [`trivet ${group.name()} list --help`, 'what it takes']));
  }
  cluster.addHelpText('after', examples(['trivet cluster status', 'is everything well?'], ['trivet cluster status --help', 'what it takes']));
  maintenance.addHelpText('after', examples(['trivet maintenance run org/repo', 'each replica in turn'], ['trivet maintenance run --help', 'what it takes']));
  for (const command of [program, cluster, repos, nodes, controllers, repair, maintenance, transactions].flatMap(({ commands }) => commands)) {
    // A list of commands shows what each does; the particulars are in its own help.
    command.summary(command.description().split('\n')[0]!);
  }
  return program;
}
