/**
 * The callback plugin that makes ansible-playbook tell what happens as one JSON object a line, each after a marker, so
 * that nothing a module prints is taken for an event. Ansible has censored results of no_log tasks before a callback sees them.
 */
export const eventMarker = '@hive '

export const callbackPluginName = 'hive_events'

export const callbackPlugin = `# -*- coding: utf-8 -*-
from __future__ import (absolute_import, division, print_function)
__metaclass__ = type

DOCUMENTATION = '''
    name: ${callbackPluginName}
    type: stdout
    short_description: one JSON object a line
    description:
      - Tells plays, tasks and results in a form that the agent reads.
'''

import json
import sys

from ansible.module_utils._text import to_text
from ansible.plugins.callback import CallbackBase

LIMIT = 4000


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'stdout'
    CALLBACK_NAME = '${callbackPluginName}'

    def _tell(self, **event):
        sys.stdout.write('${eventMarker}' + json.dumps(event, default=to_text) + '\\n')
        sys.stdout.flush()

    def _name(self, task):
        return to_text(task.get_name())

    def _text(self, result, key):
        value = result.get(key)
        if value is None or value == '':
            return ''
        return to_text(value if isinstance(value, (str, bytes)) else json.dumps(value, default=to_text))[-LIMIT:]

    def _result(self, status, result, ignored=False, item=False):
        content = result._result
        event = dict(event='result', status=status, host=result._host.get_name(), task=self._name(result._task), ignored=ignored, item=item)
        if content.get('changed') and status == 'ok':
            event['status'] = 'changed'
        if status in ('failed', 'unreachable'):
            for key in ('msg', 'stderr', 'stdout', 'module_stderr', 'module_stdout', 'exception', 'rc'):
                text = self._text(content, key)
                if text:
                    event[key] = text
        self._tell(**event)

    def v2_playbook_on_task_start(self, task, is_conditional):
        if not task.no_log:
            self._tell(event='task', task=self._name(task))

    def v2_playbook_on_handler_task_start(self, task):
        self._tell(event='task', task=self._name(task))

    def v2_playbook_on_no_hosts_matched(self):
        self._tell(event='nothing')

    def v2_runner_on_ok(self, result):
        self._result('ok', result)

    def v2_runner_on_skipped(self, result):
        self._result('skipped', result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result('failed', result, ignore_errors)

    def v2_runner_on_unreachable(self, result):
        self._result('unreachable', result)

    def v2_runner_item_on_failed(self, result):
        self._result('failed', result, True, True)

    def v2_runner_retry(self, result):
        content = result._result
        self._tell(event='retry', task=self._name(result._task), attempt=content.get('attempts', 0), of=content.get('retries', 0))
`
