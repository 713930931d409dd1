import { Secret } from '../../../components/forms/secret.tsx';

export const WebhookSecret = ({ secret, onClose }: { secret: string; onClose: () => void }) => (
  <Secret title="The secret of the endpoint" name="The secret" text={secret} onClose={onClose}>
    <p>Your server verifies with it that what arrives is from Graft, by the Standard Webhooks libraries.</p>
  </Secret>
);
