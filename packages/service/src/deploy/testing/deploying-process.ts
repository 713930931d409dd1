// Deploys until it is killed: tests start it as an API process that has nothing else to do.
import { pino } from 'pino';
import { openServices } from '../../services.ts';
import { startDeploySender } from '../send/deploy-sender.ts';
import { quick } from './deployed-adapter.ts';

const services = await openServices({ role: 'api', log: pino({ level: 'silent' }) });
startDeploySender(services, { ...quick, listMs: 20_000, wholeMs: 20_000, leaseSeconds: 2 });
