// npm run pack:client: packs the installable `graft` command.
import { packClient } from './pack-client.ts';

if (await packClient()) console.log('packed apps/cli/dist/graft-cli.tgz');
