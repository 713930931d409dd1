// Publishes until it is killed: tests start it as an API process that has nothing else to do.
import { pino } from 'pino';
import { openServices } from '../../services.ts';
import { startPublicationSender } from '../send/publication-sender.ts';
import { quick } from './quick.ts';

const services = await openServices({ role: 'api', log: pino({ level: 'silent' }) });
startPublicationSender(services, quick);
process.send?.('ready');
