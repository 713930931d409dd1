import { parseCookie, stringifySetCookie } from 'cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SignInSettings } from './sign-in-settings.ts';

type Name = 'session' | 'sign_in';

/**
 * The cookies of a session and of a sign-in in progress. Over https with the prefix `__Host-`: no other host, subdomains of the same domain
 * included, can set them. Scripts cannot read them, and other sites send them only when a person follows a link.
 */
export function cookies({ publicUrl }: Pick<SignInSettings, 'publicUrl'>) {
  const isSecure = ({ protocol }: FastifyRequest) =>
    publicUrl ? publicUrl.protocol === 'https:' : protocol === 'https';
  const nameOf = (name: Name, request: FastifyRequest) =>
    `${isSecure(request) ? '__Host-' : ''}graft_${name}`;

  return {
    read(name: Name, request: FastifyRequest): string | undefined {
      const { cookie } = request.headers;
      return cookie === undefined ? undefined : parseCookie(cookie)[nameOf(name, request)];
    },

    /** `seconds` 0 deletes the cookie. */
    set(name: Name, reply: FastifyReply, value: string, seconds: number): void {
      const { request } = reply;
      const cookie = stringifySetCookie({
        name: nameOf(name, request),
        value,
        maxAge: Math.max(0, Math.floor(seconds)),
        path: '/',
        httpOnly: true,
        secure: isSecure(request),
        sameSite: 'lax' as const,
      });
      // Fastify keeps the cookies set before.
      reply.header('set-cookie', cookie).header('cache-control', 'no-store');
      // The browser's cache contains files and responses that the session has read.
      if (name === 'session' && seconds <= 0) reply.header('clear-site-data', '"cache"');
    },
  };
}
