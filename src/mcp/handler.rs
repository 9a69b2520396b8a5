//! What a client meets: the list of tools, resources, and notices of their changes.
//!
//! Invariant: lists are the same for every client, at any time.

use super::Server;
use super::listing::{Page, Start, list, list_changes};
use super::resources::{Subject, templates};
use super::session::{Ear, Teller, Wanted};
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, ContentBlock, Implementation,
    ListPromptsRequestMethod, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ResourceContents, ServerCapabilities, ServerConfig,
    SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::{Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler, tool_handler};
use std::sync::{Arc, Mutex};

#[tool_handler(router = self.tools.router)]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_subscribe();
        let capabilities = match list_changes(&self.tools) {
            true => capabilities.enable_resources_list_changed().build(),
            false => capabilities.build(),
        };
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("crdt-palace", env!("CARGO_PKG_VERSION")))
            .with_instructions(self.tools.instructions())
    }

    /// As the macro makes it, but that every answer tells of what is missing.
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = ToolCallContext::new(self, request, context);
        let mut response = self.tools.router.call(call).await?;
        if let CallToolResponse::Complete(result) = &mut response {
            result.content.extend(self.what_is_missing().map(ContentBlock::text));
        }
        Ok(response)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut result = ListToolsResult::with_all_items(self.tools.list());
        if is_new(&context) {
            (result.ttl_ms, result.cache_scope) = (Some(0), Some(CacheScope::Public));
        }
        Ok(result)
    }

    /// There are no prompts, and no capability says so. rmcp would give an empty list, like a server that has prompts.
    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        // Who has looked at the list wants to know when it changes; who has not needs no watch. In the new era it
        // is asked for.
        if list_changes(&self.tools) && !is_new(&context) {
            self.session.want(|wanted| wanted.list = true);
            self.tell(context.peer.clone()).await?;
        }
        let cursor = request.and_then(|request| request.cursor);
        let start = Start::of(cursor.as_deref()).ok_or_else(|| {
            ErrorData::invalid_params("not a cursor of this list: pass nextCursor, or none", None)
        })?;
        let tools = self.tools.clone();
        let page = self.run_apart(&context, move |palace, _| list(palace, &tools, start)).await;
        let Page { resources, next_cursor } = page.and_then(|page| page).map_err(internal)?;
        Ok(ListResourcesResult { next_cursor, ..ListResourcesResult::with_all_items(resources) })
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(templates(&self.tools)))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let (uri, subject) = self.subject(request.uri)?;
        let text = self.run_apart(&context, move |palace, by| subject.read(palace, by)).await;
        let text = text.and_then(|text| text).map_err(internal)?.ok_or_else(|| not_found(&uri))?;
        let contents = ResourceContents::text(text, uri).with_mime_type("application/json");
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    fn accepted_subscription_filter(
        &self,
        asked: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let uris = asked.resource_subscriptions.iter().flatten();
        let known = uris.filter(|uri| Subject::of(uri, &self.tools).is_some());
        let accepted = SubscriptionFilter::builder().resource_subscriptions(known);
        Some(match list_changes(&self.tools) {
            true => accepted.resources_list_changed().build(),
            false => accepted.build(),
        })
    }

    /// The client was told already that it is subscribed. Whether something changed between that and the
    /// first look is not known, so the first notice of everything comes at once.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let accepted = context.sink().accepted();
        let uris = accepted.resource_subscriptions.iter().flatten();
        let subjects = uris.filter_map(|uri| Some((uri.clone(), Subject::of(uri, &self.tools)?)));
        let list = accepted.resources_list_changed == Some(true);
        let wanted = Wanted { subjects: subjects.collect(), list };
        let news = self.notices.follow(list).await.map_err(internal)?;
        let ear = Ear::Listen(context.sink().clone());
        let teller = Teller::new(ear, news, Arc::new(Mutex::new(wanted)));
        tokio::select! {
            () = context.cancelled() => {}
            () = self.session.is_over() => {}
            () = self.is_stopping() => {}
            () = teller.tell_all_and_on() => {}
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (uri, subject) = self.subject(request.uri)?;
        self.session.want(|wanted| drop(wanted.subjects.insert(uri, subject)));
        self.tell(context.peer).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (uri, _) = self.subject(request.uri)?;
        self.session.want(|wanted| drop(wanted.subjects.remove(&uri)));
        self.session.rest();
        Ok(())
    }
}

impl Server {
    /// What a URI names; refuses to speak of a resource that is not offered.
    fn subject(&self, uri: String) -> Result<(String, Subject), ErrorData> {
        match Subject::of(&uri, &self.tools) {
            Some(subject) => Ok((uri, subject)),
            None => Err(not_found(&uri)),
        }
    }

    /// Sees to it that the client of this session is told of what it wants.
    async fn tell(&self, peer: Peer<RoleServer>) -> Result<(), ErrorData> {
        let _starting = self.session.starting.lock().await;
        if self.session.is_silent() {
            let news = self.notices.follow(list_changes(&self.tools)).await.map_err(internal)?;
            self.session.tell(peer, news);
        }
        Ok(())
    }
}

fn is_new(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|era| era >= ProtocolVersion::V_2026_07_28)
}

fn internal(text: String) -> ErrorData {
    ErrorData::internal_error(text, None)
}

fn not_found(uri: &str) -> ErrorData {
    let text = format!(
        "no such resource: {uri}; resources/list and resources/templates/list tell which there are"
    );
    ErrorData::resource_not_found(text, Some(serde_json::json!({"uri": uri})))
}
