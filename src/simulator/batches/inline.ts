import { randomBytes } from 'node:crypto'
import type { StoredFile } from '../file-store.ts'
import { openLineWriter } from '../line-writer.ts'
import type { Account, World } from '../provider.ts'

/** How a provider shows the input it made of inline rows. */
export interface ShownInput {
  readonly id: string
  readonly purpose: string
}

/** Rows that arrived inside a create, as an input like any other: one line of the provider's own row format each. */
export async function inlineInput(
  world: World,
  account: Account,
  lines: Iterable<string>,
  shown?: ShownInput,
): Promise<StoredFile> {
  const id = shown?.id ?? `inline-${randomBytes(12).toString('hex')}`
  const writer = await openLineWriter(world.files.pathFor(id))
  try {
    for (const line of lines) await writer.write(line)
  } finally {
    await writer.close()
  }
  return world.files.add({
    id,
    // Nobody uploaded it, so nobody finds it among their files, unless the provider puts it there.
    owner: shown ? account.hash : `inline:${account.hash}`,
    name: `${id}.jsonl`,
    purpose: shown?.purpose ?? 'inline',
    createdAt: world.clock.now(),
    expiresAt: undefined,
  })
}
